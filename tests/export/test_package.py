"""Which graphs a package gives, what of the recipe they change, and what is refused."""

import json
import zipfile

import pytest
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, TensorSpec, input_shape
from kidneyseg.export.metadata import write_metadata
from kidneyseg.export.package import is_package, opened, read_package, write_zip
from kidneyseg.recipe import parse_recipe, save_recipe

CPU, ASCEND = ("ONNX", "MindIR"), ("MindIR",)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder, tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1}))
    return folder


def add(folder, model, stage, name, batch, recipe=None, dtype="float32"):
    """A graph and the recipe as export leaves them, but for what is in the graph."""
    recipe = recipe or tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1})
    save_recipe(recipe, folder / "recipe.yaml")
    spec = recipe.stage(stage)
    (folder / name).write_bytes(name.encode())
    kind = {"onnx": "ONNX", "mindir": "MindIR"}[name.rpartition(".")[2]]
    shape = input_shape(spec, batch)
    ports = TensorSpec("images", shape, dtype), TensorSpec("probabilities", (batch, spec.classes, *shape[2:]))
    return write_metadata(Graph(folder / name, kind, *ports), recipe, spec, model)


def test_the_device_chooses_the_format_and_a_fixed_batch_comes_first(tmp_path, model):
    for stage in ("coarse", "fine"):
        add(tmp_path, model, stage, f"{stage}.dynamic.onnx", None)
        add(tmp_path, model, stage, f"{stage}.mindir", 7)
    add(tmp_path, model, "fine", "fine.onnx", 6)
    (tmp_path / "other.json").write_text("[1]")
    package = read_package(tmp_path, CPU)
    assert package.recipe.labels == {"kidney": 1, "tumour": 2} and package.recipe.merge == {3: 1}
    assert {stage: graph.path.name for stage, graph in package.graphs.items()} == {
        "coarse": "coarse.dynamic.onnx",
        "fine": "fine.onnx",
    }
    assert batches(package) == [2, 6]  # the recipe's where the graph takes any
    ascend = read_package(tmp_path, ASCEND)
    assert ascend.graphs["fine"].path.name == "fine.mindir" and batches(ascend) == [7, 7]


def test_a_cpu_takes_mindir_where_there_is_no_onnx(tmp_path, model):
    for stage in ("coarse", "fine"):
        add(tmp_path, model, stage, f"{stage}.mindir", 7)
    assert read_package(tmp_path, CPU).graphs["coarse"].format == "MindIR"


def test_a_package_of_an_earlier_version_is_read(tmp_path, model):
    """Its description lacks what no recipe could say then."""
    for stage in ("coarse", "fine"):
        described = add(tmp_path, model, stage, f"{stage}.onnx", 2)
        facts = json.loads(described.read_text())
        del facts["recipe"]["stages"][1]["region"]["grow"]
        described.write_text(json.dumps(facts))
    assert batches(read_package(tmp_path, CPU)) == [2, 2]


def test_a_graph_that_normalises_leaves_nothing_to_normalise(tmp_path, model):
    add(tmp_path, model, "coarse", "coarse.onnx", 2)
    add(tmp_path, model, "fine", "fine.onnx", 3, dtype="uint8")
    package = read_package(tmp_path, CPU)
    before = tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1})
    assert package.recipe.stage("coarse") == before.stage("coarse")
    intensity = package.recipe.stage("fine").intensity
    assert (intensity.mean, intensity.std, intensity.per_volume) == (0, 1, False)
    assert intensity.clip == before.stage("fine").intensity.clip
    assert package.graphs["fine"].input.dtype == "uint8"
    told = json.loads((tmp_path / "fine.onnx.json").read_text())["input"]
    assert told["dtype"] == "uint8" and told["normalise"].startswith("nothing") and "mean" not in told
    other = before.model_copy(update={"name": "other"})
    assert read_package(tmp_path, CPU, other).recipe.name == "other"
    assert read_package(tmp_path, CPU, other).recipe.stage("fine").intensity == intensity


def batches(package):
    return [stage.inference.batch_size for stage in package.recipe.stages]


def test_a_zip_is_the_folder(tmp_path, model):
    folder, path = tmp_path / "folder", tmp_path / "a" / "package.zip"
    folder.mkdir()
    assert not is_package(folder) and not is_package(model) and is_package(path)  # by its name: not there yet
    for stage in ("coarse", "fine"):
        add(folder, model, stage, f"{stage}.onnx", 4)
    assert is_package(folder)
    write_zip(folder, path)
    assert [file.name for file in path.parent.iterdir()] == ["package.zip"]
    with opened(path) as unpacked:
        assert read_package(unpacked, CPU).recipe == read_package(folder, CPU).recipe
        assert {file.name: file.read_bytes() for file in unpacked.iterdir()} == {
            file.name: file.read_bytes() for file in folder.iterdir()
        }
    assert not unpacked.exists()
    (folder / "fine.onnx").write_bytes(b"damaged")
    write_zip(folder, path)
    said = r"package\.zip/fine\.onnx: expected the graph .* SHA-256"
    with pytest.raises(InputError, match=said), opened(path) as unpacked:
        read_package(unpacked, CPU)


def write_members(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "write, words",
    [
        (lambda path: None, ["no such folder or file"]),
        (lambda path: path.write_bytes(b"no zip"), ["the .zip that export writes", "not a zip file"]),
        (lambda path: write_members(path, **{"../outside.json": "{}"}), ["without folders", "'../outside.json'"]),
        (lambda path: write_members(path, **{"/tmp/outside.json": "{}"}), ["without folders", "'/tmp/outside.json'"]),
        (lambda path: write_members(path, **{"..": "{}"}), ["without folders", "'..'"]),
        (lambda path: write_members(path, words="of mine"), ["bad.zip/recipe.yaml", "no such file"]),
        (
            lambda path: (write_members(path, **{"recipe.yaml": "name: tiny"}), cut(path)),
            ["the .zip that export writes"],
        ),
    ],
)
def test_what_is_no_such_zip_is_refused(write, words, tmp_path):
    path = tmp_path / "in" / "bad.zip"
    path.parent.mkdir()
    write(path)
    with pytest.raises(InputError) as caught, opened(path) as folder:
        read_package(folder, CPU)
    assert all(word in str(caught.value) for word in (*words, "bad.zip", "kidneyseg export")), caught.value
    assert not list(tmp_path.glob("*.json"))


def cut(path):
    """Damage the content of the first member."""
    content = bytearray(path.read_bytes())
    at = content.index(b"name: tiny")
    content[at] ^= 1
    path.write_bytes(content)


def test_what_is_no_package_is_refused(tmp_path, model):
    def refused(*words, formats=CPU):
        with pytest.raises(InputError) as caught:
            read_package(tmp_path / "package", formats)
        assert all(word in str(caught.value) for word in words), caught.value

    folder = tmp_path / "package"
    folder.mkdir()
    refused("recipe.yaml", "no such file", "kidneyseg export")
    save_recipe(tiny_recipe(), folder / "recipe.yaml")
    refused("ONNX or MindIR graphs", "found none", "kidneyseg export")
    add(folder, model, "coarse", "coarse.onnx", 2)
    refused("stage 'fine'")
    refused("MindIR graphs", "another format", formats=ASCEND)
    other = parse_recipe(json.loads(tiny_recipe(merge={3: 1}, name="other").model_dump_json()))
    fine = add(folder, model, "fine", "fine.onnx", 3, recipe=other)
    refused("coarse.onnx.json", "the recipe of recipe.yaml")
    fine = add(folder, model, "fine", "fine.onnx", 3)
    read_package(folder, CPU)
    told = json.loads(fine.read_text())
    told["checkpoint"]["sha256"] = "0" * 64
    (folder / "older.json").write_text(json.dumps(told))
    refused("older.json", "the checkpoint of fine.onnx.json", "of another training")
    (folder / "older.json").unlink()
    (folder / "fine.onnx").write_bytes(b"damaged")
    refused("fine.onnx: expected the graph that fine.onnx.json describes", "SHA-256")
    (folder / "fine.onnx").unlink()
    refused("no such file")
    fine.write_text("{")
    refused("fine.onnx.json")
