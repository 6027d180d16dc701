"""scripts/run_infer_310.sh end to end: the masks of `predict`, from exported graphs, where there is no MindSpore."""

import subprocess

import nibabel as nib
import numpy as np
import pytest
from cascade_doubles import dice, make_hu, make_labels, save_scan
from infer_program import ENV, ROOT, built_program
from tiny_model import save_tiny_model

from kidneyseg import cli

SCRIPT = ROOT / "scripts" / "run_infer_310.sh"
SHAPE, SPACING = (24, 64, 64), (3.0, 1.6, 1.6)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set, the package of a model with random weights, and the masks that `predict` makes."""
    folder = tmp_path_factory.mktemp("deploy")
    for number, name in enumerate(("case_00000", "case_00001")):
        kidneys = [((12, 34, 18 + 2 * number), (8, 9, 8)), ((12, 34, 46), (8, 9, 8))]
        labels = make_labels(SHAPE, kidneys, [((12, 34, 16), (4, 4, 4))])
        flips = (bool(number), False, True)
        noise = np.random.default_rng(number).integers(-9, 10, SHAPE, np.int16)  # no two slices are equal
        save_scan(folder / "data" / name / "imaging.nii.gz", make_hu(labels) + noise, SPACING, flips=flips)
        save_scan(folder / "data" / name / "segmentation.nii.gz", labels, SPACING, flips=flips)
    save_tiny_model(folder / "model")
    model = str(folder / "model")
    export = ["export", "-m", model, "--format", "onnx", "--batch", "dynamic"]
    assert cli.main([*export, "-o", str(folder / "package")]) == 0
    assert cli.main([*export, "-o", str(folder / "bytes.zip"), "--uint8"]) == 0
    assert (
        cli.main(
            [
                "predict",
                "-m",
                model,
                "-i",
                str(folder / "data"),
                "-o",
                str(folder / "predicted"),
                "--device",
                "CPU",
                "--runtime",
                "mindspore",
            ]
        )
        == 0
    )
    return folder


def run(cwd, *args, **env):
    words = ["bash", str(SCRIPT), *(str(arg) for arg in args)]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env={**ENV, **env})


@pytest.fixture
def no_mindspore(tmp_path):
    """Environment in which importing MindSpore or ONNX fails."""
    for name in ("mindspore", "onnx", "onnxruntime"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text("raise ImportError('not on this machine')\n")
    return {"PYTHONPATH": str(tmp_path / "blocked")}


def test_masks_and_scores_are_those_of_predict(place, tmp_path, no_mindspore):
    built_program()
    done = run(tmp_path, place / "package", place / "data", "y", 0, "CPU", **no_mindspore)
    assert done.returncode == 0, done.stderr
    for name in ("case_00000", "case_00001"):
        ours, theirs = (nib.load(folder / f"{name}.nii.gz") for folder in (tmp_path / "masks", place / "predicted"))
        found, expected = np.asarray(ours.dataobj), np.asarray(theirs.dataobj)
        assert found.shape == expected.shape and np.array_equal(ours.affine, theirs.affine)
        assert found.dtype == np.uint8 and all((expected == label).any() for label in (1, 2))
        assert all(dice(found == label, expected == label) >= 0.999 for label in (1, 2))
        assert f"{name}  " in done.stdout  # a line of the table of scores
    assert "mean +/- SD over 2 cases" in done.stdout and (tmp_path / "scores.json").is_file()
    assert "p99_ms" in (tmp_path / "time_Result" / "fine.txt").read_text()

    (tmp_path / "masks" / "case_00001.nii.gz").unlink()
    (tmp_path / "preprocess_Result" / "fine" / "case_00000" / "00003.bin").unlink()
    again = run(tmp_path, place / "package", place / "data", "n", 0, "CPU", **no_mindspore)
    assert again.returncode == 1
    assert "case_00000/00003.bin: expected a file, found none. Skipped." in again.stderr
    assert "case_00000: failed: case_00000/00003.bin" in again.stderr
    # from the tensors of the first run; what that made of the other case does not pass for new
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["case_00001.nii.gz"]


def test_a_zip_of_graphs_that_take_bytes(place, tmp_path, no_mindspore):
    built_program()
    scan = place / "data" / "case_00001"
    done = run(tmp_path, place / "bytes.zip", scan, "y", 0, "CPU", **no_mindspore)
    assert done.returncode == 0, done.stderr
    found, expected = (
        np.asarray(nib.load(folder / "case_00001.nii.gz").dataobj)
        for folder in (tmp_path / "masks", place / "predicted")
    )
    assert all(dice(found == label, expected == label) >= 0.999 for label in (1, 2))
    image = next((tmp_path / "preprocess_Result" / "fine" / "case_00001").iterdir())
    assert image.stat().st_size == 32 * 32  # a byte a pixel


@pytest.mark.parametrize("args", [[], ["package"], ["a", "b", "y", "0", "CPU", "more"]])
def test_other_numbers_of_arguments_show_the_usage(args, tmp_path):
    done = run(tmp_path, *args)
    assert done.returncode == 2 and done.stderr.startswith("Usage: bash scripts/run_infer_310.sh MODEL_PACKAGE ")
    assert "LITE_HOME" in done.stderr and len(done.stderr.splitlines()) == 6


@pytest.mark.parametrize(
    "args, words",
    [
        (["nowhere", "data", "y", "0", "CPU"], ["kidneyseg deploy: error: nowhere: ", "kidneyseg export"]),
        (["nowhere", "data", "maybe"], ["--preprocess", "maybe"]),
        (["nowhere", "data", "y", "0", "TPU"], ["--device", "Ascend310", "TPU"]),
    ],
)
def test_wrong_arguments_are_said(args, words, tmp_path):
    built_program()
    done = run(tmp_path, *args)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr
    assert list(tmp_path.iterdir()) == []
