"""The program on an ONNX file: what it computes, how it is called, and what it says of bad input."""

import hashlib
import subprocess

import numpy as np
import onnx
import pytest
from infer_program import BUILD, built_program
from onnx import TensorProto, helper
from scipy.special import softmax

SHAPE = (1, 4, 6)  # of one image


def save_graph(path, batch="batch"):
    """softmax over the classes (x, 2 x)."""
    nodes = [
        helper.make_node("Add", ["images", "images"], ["doubled"]),
        helper.make_node("Concat", ["images", "doubled"], ["both"], axis=1),
        helper.make_node("Softmax", ["both"], ["probabilities"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, channels, *SHAPE[1:]])
        for name, channels in (("images", 1), ("probabilities", 2))
    ]
    graph = helper.make_graph(nodes, "tiny", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def images(tmp_path):
    """Seven images with their manifest in tmp_path/in."""
    (tmp_path / "in" / "a case").mkdir(parents=True)
    found = np.random.default_rng(0).standard_normal((7, *SHAPE), np.float32)
    lines = []
    for number, image in enumerate(found):
        name = f"a case/{number}.bin"
        (tmp_path / "in" / name).write_bytes(image.tobytes())
        lines.append(f"{hashlib.sha256(image.tobytes()).hexdigest()} {'x'.join(map(str, SHAPE))} {name}\n")
    (tmp_path / "in" / "manifest.txt").write_text("".join(lines))
    return found


def run(folder, *more, graph="graph.onnx"):
    words = [
        built_program(),
        "--model",
        folder / graph,
        "--manifest",
        folder / "in" / "manifest.txt",
        "--out",
        folder / "out",
        "--timing",
        folder / "time.txt",
        "--threads",
        1,
        *more,
    ]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True)


def results(folder):
    """Name -> probabilities, of what the program lists."""
    found = {}
    for line in (folder / "out" / "manifest.txt").read_text().splitlines()[1:]:
        digest, shape, name = line.split(" ", 2)
        content = (folder / "out" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        found[name] = np.frombuffer(content, "<f4").reshape([int(n) for n in shape.split("x")])
    return found


def edit(folder, number, change):
    """Change one line of the manifest."""
    path = folder / "in" / "manifest.txt"
    lines = path.read_text().splitlines(keepends=True)
    lines[number] = change(lines[number])
    path.write_text("".join(lines))


@pytest.mark.parametrize("fixed, batch", [(True, 3), (False, 1), (False, 3), (False, 8)])
def test_results_are_those_of_numpy_whatever_the_batch(tmp_path, images, fixed, batch):
    save_graph(tmp_path / "graph.onnx", 3 if fixed else "batch")
    done = run(tmp_path, "--batch", batch)
    assert done.returncode == 0 and done.stderr == ""
    found = results(tmp_path)
    assert list(found) == [f"a case/{number}.bin" for number in range(7)]
    for image, answer in zip(images, found.values()):
        np.testing.assert_allclose(answer, softmax(np.concatenate([image, 2 * image]), axis=0), atol=1e-5)
    timing = dict(line.split() for line in (tmp_path / "time.txt").read_text().splitlines())
    assert timing["batches"] == str(-(-7 // batch)) and timing["tensors"] == "7" and timing["batch_size"] == str(batch)
    assert 0 < float(timing["p50_ms"]) <= float(timing["p99_ms"]) < 1000 * float(timing["seconds"])


def test_bad_tensors_are_named_and_the_others_computed(tmp_path, images):
    save_graph(tmp_path / "graph.onnx")
    (tmp_path / "in" / "a case" / "0.bin").unlink()
    (tmp_path / "in" / "a case" / "1.bin").write_bytes(images[1].tobytes()[:-4])
    (tmp_path / "in" / "a case" / "2.bin").write_bytes(images[3].tobytes())
    edit(tmp_path, 3, lambda line: line.replace("1x4x6", "1x6x4"))
    edit(tmp_path, 4, lambda line: line[1:])
    done = run(tmp_path, "--batch", 2)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == 5 and all(line.endswith(". Skipped.") for line in said)
    for start, word in (
        ("a case/0.bin: ", "found none"),
        ("a case/1.bin: ", "expected 96 bytes (1x4x6 float32)"),
        ("a case/2.bin: ", "expected SHA-256 "),
        ("a case/3.bin: ", "shape 1x4x6"),
        (f"{tmp_path}/in/manifest.txt, line 5: ", "64 lower-case"),
    ):
        assert any(line.startswith(start) and word in line for line in said), said
    assert list(results(tmp_path)) == ["a case/5.bin", "a case/6.bin"]


@pytest.mark.parametrize(
    "prepare, words",
    [
        (lambda folder: save_graph(folder / "graph.onnx", 2), ["graph.onnx", "batches of 4, found input 2x1x4x6"]),
        (lambda folder: (folder / "graph.onnx").write_bytes(b"no graph"), ["graph.onnx", "OpenVINO"]),
        (lambda folder: None, ["graph.onnx", "found none"]),
        (
            lambda folder: (save_graph(folder / "graph.onnx"), (folder / "in" / "manifest.txt").unlink()),
            ["manifest.txt"],
        ),
    ],
)
def test_where_nothing_can_be_done_one_line_says_so(tmp_path, images, prepare, words):
    prepare(tmp_path)
    done = run(tmp_path, "--batch", 4)
    last = done.stderr.splitlines()[-1]  # before it OpenVINO may have its own say
    assert done.returncode == 2 and last.startswith("kidneyseg_infer: error: ")
    assert all(word in last for word in words), done.stderr


def test_a_graph_for_images_of_another_shape_is_named_once(tmp_path, images):
    save_graph(tmp_path / "graph.onnx")
    for number in range(7):
        edit(tmp_path, number, lambda line: line.replace("1x4x6", "1x6x4"))
    done = run(tmp_path)
    assert done.returncode == 2 and "of shape 1x4x6, which the graph takes, found none" in done.stderr
    assert not (tmp_path / "out" / "manifest.txt").exists()


def test_results_of_an_earlier_run_do_not_pass_for_new_ones(tmp_path, images):
    save_graph(tmp_path / "graph.onnx")
    assert run(tmp_path).returncode == 0
    (tmp_path / "graph.onnx").unlink()
    assert run(tmp_path).returncode == 2 and not (tmp_path / "out" / "manifest.txt").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--batch", "many"], "--batch: expected a whole number from 1, found many"),
        (["--modle", "x"], "--modle: no such option"),
        (["--device"], "--device: expected a value"),
        (["--device", "Ascend310"], "expected device CPU for this graph"),
    ],
)
def test_wrong_options_are_said(tmp_path, images, words, said):
    save_graph(tmp_path / "graph.onnx")
    done = run(tmp_path, *words)
    assert done.returncode == 2 and said in done.stderr


def test_its_own_unit_tests_pass():
    built_program()
    done = subprocess.run(["ctest", "--test-dir", str(BUILD), "--output-on-failure"], capture_output=True, text=True)
    assert done.returncode == 0 and "100% tests passed" in done.stdout, done.stdout
    assert all(name in done.stdout for name in ("test_files", "test_pipeline", "test_openvino", "test_lite"))
