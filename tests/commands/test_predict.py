"""`kidneyseg predict` with real checkpoints (random weights): files, names, geometry, faults."""

import errno
import json
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from cascade_doubles import dice, make_hu, make_labels, make_model, make_recipe, save_scan
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg import cli
from kidneyseg.cohort.scans import find_scans
from kidneyseg.commands import predict
from kidneyseg.errors import InputError
from kidneyseg.inference.model import Model

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)
LABELS = make_labels(SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 8))], [((10, 32, 44), (3, 4, 4))])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder)
    return str(folder)


@pytest.fixture
def doubled(monkeypatch):
    """Model.load gives runtimes that know the answer."""
    monkeypatch.setattr(Model, "load", classmethod(lambda cls, *args: make_model(make_recipe())))


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def scan(path, labels=LABELS, **orientation):
    return str(save_scan(path, make_hu(labels), SPACING, **orientation))


@pytest.mark.parametrize(
    "axes, flips, runtime",
    [((2, 1, 0), (True, True, False), "mindspore"), ((0, 1, 2), (False, True, True), "openvino")],
)
def test_real_checkpoint_gives_a_mask_in_the_scans_geometry(model, tmp_path, capsys, axes, flips, runtime):
    path = scan(tmp_path / "ct.nii.gz", axes=axes, flips=flips)
    options = ["--overlay", "--json", str(tmp_path / "summary.json"), "--device", "CPU", "--runtime", runtime]
    assert cli.main(["predict", "-m", model, "-i", path, "-o", str(tmp_path / "out"), *options]) == 0
    given, written = nib.load(path), nib.load(tmp_path / "out" / "ct.nii.gz")
    assert written.shape == given.shape and written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(written.affine, given.affine)
    for form in ("sform", "qform"):
        assert written.header[f"{form}_code"] == given.header[f"{form}_code"]
    mask = np.asarray(written.dataobj)
    assert set(np.unique(mask)) <= {0, 1, 2}
    assert (tmp_path / "out" / "ct.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "summary.json").read_text())
    (case,) = summary["cases"]
    assert case["volumes_ml"]["tumour"] == pytest.approx(np.count_nonzero(mask == 2) * np.prod(SPACING) / 1000)
    assert (summary["recipe"], summary["failed"], summary["skipped"]) == ("tiny", [], [])
    out = capsys.readouterr().out
    assert "ct: kidney" in out and " ml" in out
    assert visible(tmp_path / "out") == ["ct.nii.gz", "ct.png"]


@pytest.fixture(scope="module")
def predicted(model, tmp_path_factory):
    """A scan of much contrast, and the labels that the checkpoints find in it."""
    folder = tmp_path_factory.mktemp("predicted")
    noise = np.random.default_rng(0).integers(-60, 61, SHAPE, np.int16)
    path = str(save_scan(folder / "ct.nii.gz", make_hu(LABELS) + noise, SPACING))
    arguments = ["-m", model, "-i", path, "-o", str(folder / "out"), "--device", "CPU", "--runtime", "mindspore"]
    assert cli.main(["predict", *arguments]) == 0
    labels = np.asarray(nib.load(folder / "out" / "ct.nii.gz").dataobj)
    assert set(np.unique(labels)) == {0, 1, 2}
    return path, labels


@pytest.mark.parametrize(
    "name, options, runtime",
    [
        ("package.zip", ["--format", "onnx", "--batch", "dynamic", "--uint8"], "openvino"),
        ("package", ["--batch", "1"], "auto"),
    ],
)
def test_a_package_gives_the_masks_of_its_checkpoints(model, predicted, tmp_path, name, options, runtime, capsys):
    path, expected = predicted
    package = str(tmp_path / name)
    assert cli.main(["export", "-m", model, "-o", package, *options]) == 0
    said = capsys.readouterr().out
    assert ("310P" in said) == (name == "package") and f"{package}/coarse" in said
    arguments = ["predict", "-m", package, "-i", path, "-o", str(tmp_path / "out"), "--device", "CPU"]
    if runtime == "openvino":  # it needs nothing that exported it
        absent = "; ".join(f"sys.modules[{module!r}] = None" for module in ("mindspore", "onnx", "onnxruntime"))
        code = f"import sys; {absent}; from kidneyseg import cli; sys.exit(cli.main(sys.argv[1:]))"
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    else:
        assert cli.main([*arguments, "--runtime", runtime]) == 0
    found = np.asarray(nib.load(tmp_path / "out" / "ct.nii.gz").dataobj)
    assert all(dice(found == label, expected == label) >= 0.999 for label in (1, 2))
    other = "mindspore" if runtime == "openvino" else "openvino"
    assert cli.main([*arguments, "--overwrite", "--runtime", other]) == 2
    assert "graphs of another format" in capsys.readouterr().err


def test_doubled_model_finds_the_kidneys_in_the_files_own_orientation(doubled, model, tmp_path):
    orientation = {"axes": (0, 2, 1), "flips": (True, False, True)}
    path = scan(tmp_path / "ct.nii.gz", **orientation)
    truth = np.asarray(nib.load(save_scan(tmp_path / "truth.nii.gz", LABELS, SPACING, **orientation)).dataobj)
    assert cli.main(["predict", "-m", model, "-i", path, "-o", str(tmp_path / "out")]) == 0
    mask = np.asarray(nib.load(tmp_path / "out" / "ct.nii.gz").dataobj)
    assert dice(mask > 0, truth > 0) > 0.95


def test_names_of_every_layout(doubled, model, tmp_path):
    scan(tmp_path / "kits" / "case_00001" / "imaging.nii.gz")
    scan(tmp_path / "kits" / "case_00002" / "imaging.nii.gz")
    scan(tmp_path / "kits" / "case_00002" / "segmentation.nii.gz")
    scan(tmp_path / "imagesTs" / "a_0000.nii.gz")
    scan(tmp_path / "flat" / "b.nii.gz")
    scan(tmp_path / "flat" / "b_seg.nii.gz")
    names = ("kits/case_00001/imaging.nii.gz", "kits/case_00002", "imagesTs", "flat")
    inputs = [str(tmp_path / name) for name in names]
    assert cli.main(["predict", "-m", model, "-i", *inputs, "-o", str(tmp_path / "out")]) == 0
    names = [f"{name}.nii.gz" for name in ("a", "b", "case_00001", "case_00002")]
    assert visible(tmp_path / "out") == names
    assert cli.main(["predict", "-m", model, "-i", str(tmp_path / "kits"), "-o", str(tmp_path / "folder")]) == 0
    assert visible(tmp_path / "folder") == ["case_00001.nii.gz", "case_00002.nii.gz"]


@pytest.mark.parametrize(
    "files, names",
    [
        (["scan_0000", "scan_0001"], ["scan_0000", "scan_0001"]),
        (["a_0000", "b_0000"], ["a", "b"]),
        (["a_0000", "a_0000_seg"], ["a_0000"]),
        (["case_0000/imaging"], ["case_0000"]),
        (["imagesTr/a_0000_0000", "imagesTr/b_0000"], ["a_0000", "b"]),
        (["images/a_0000", "labels/a_0000"], ["a_0000"]),
    ],
)
def test_0000_is_nnunets_only_where_all_scans_end_in_it(tmp_path, files, names):
    """Names, with which `eval --truth` finds the mask again."""
    for file in files:
        (tmp_path / f"{file}.nii.gz").parent.mkdir(exist_ok=True)
        (tmp_path / f"{file}.nii.gz").touch()
    scans = find_scans([tmp_path])
    assert [case.name for case in scans] == names
    if "images/a_0000" not in files:  # alone, nothing beside it says so
        assert find_scans([case.image for case in scans]) == scans


def test_a_bad_scan_does_not_stop_the_others(doubled, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    good = [scan(tmp_path / f"{name}.nii.gz") for name in ("a", "c")]
    cut = tmp_path / "b.nii.gz"
    cut.write_bytes((tmp_path / "a.nii.gz").read_bytes()[:2000])
    args = ["-m", model, "-i", good[0], str(cut), str(tmp_path / "none.nii.gz"), good[1], "-o", str(tmp_path / "out")]
    assert cli.main(["predict", *args, "--json", str(tmp_path / "summary.json")]) == 2
    assert visible(tmp_path / "out") == ["a.nii.gz", "c.nii.gz"]
    error = capsys.readouterr().err
    assert "2 of 4 scans" in error and "faults in b, none" in error and str(cut) in error
    summary = (tmp_path / "summary.json").read_text()
    failed = json.loads(summary)["failed"]
    assert [(f["case"], f["image"]) for f in failed] == [("b", "~/b.nii.gz"), ("none", "~/none.nii.gz")]
    assert str(tmp_path) not in summary


def test_one_scan_of_an_unexpected_error_does_not_stop_the_others(doubled, model, tmp_path, monkeypatch, capsys):
    errors = {
        "b": MemoryError("Unable to allocate 148. TiB"),
        "d": ZeroDivisionError("a bug"),
        "e": OSError(errno.ENOSPC, "No space left on device"),
    }
    for function, names in (("read_image", "bd"), ("write_mask", "e")):
        monkeypatch.setattr(predict, function, failing(getattr(predict, function), {n: errors[n] for n in names}))
    for name in "abcde":
        scan(tmp_path / "scans" / f"{name}.nii.gz")
    args = ["-m", model, "-i", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
    assert cli.main(["predict", *args, "--json", str(tmp_path / "summary.json")]) == 2
    assert visible(tmp_path / "out") == ["a.nii.gz", "c.nii.gz"]
    failed = {one["case"]: one["error"] for one in json.loads((tmp_path / "summary.json").read_text())["failed"]}
    assert "enough memory" in failed["b"] and "--debug" in failed["d"] and "room on the disk" in failed["e"]
    error = capsys.readouterr().err
    assert "3 of 5 scans" in error and "Traceback" not in error


def failing(function, errors):
    """``function`` of a path and more, which raises the error that ``errors`` has for the path's first letter."""

    def wrapped(path, *rest):
        if path.name[0] in errors:
            raise errors[path.name[0]]
        return function(path, *rest)

    return wrapped


def test_a_mask_is_done_only_for_its_scan_model_and_options(doubled, model, tmp_path, capsys):
    path, out = scan(tmp_path / "ct.nii.gz"), tmp_path / "out"
    out.mkdir()
    (out / "ct.nii.gz").write_bytes(b"of somebody")
    args = ["predict", "-i", path, "-o", str(out), "-m"]

    def said(*more):
        assert cli.main([*args, *more]) == 0
        return capsys.readouterr().out

    assert "made again" in said(model)
    assert nib.load(out / "ct.nii.gz").shape == nib.load(path).shape
    assert "skipped" in said(model)
    (out / "ct.nii.gz").write_bytes(b"drawn into since")
    assert "skipped" in said(model) and (out / "ct.nii.gz").read_bytes() == b"drawn into since"
    assert "skipped" not in said(model, "--overwrite")
    assert "made again" in said(model, "--overlay") and "skipped" in said(model, "--overlay")  # the picture was missing
    other = shutil.copytree(model, tmp_path / "other")
    assert "skipped" in said(str(other))  # the same model elsewhere
    save_tiny_model(tmp_path / "trained", tiny_recipe(fine="unet2d"))
    assert "made again" in said(str(tmp_path / "trained"))
    assert "made again" in said(str(tmp_path / "trained"), "--precision", "float32")
    scan(tmp_path / "ct.nii.gz", np.zeros(SHAPE, np.uint8))
    assert "made again" in said(model)
    assert not np.asarray(nib.load(out / "ct.nii.gz").dataobj).any()


@pytest.mark.parametrize("name", ["ct.nii", "ct_0000.nii.gz", "ct.nrrd", "case_00000/imaging.nii.gz"])
def test_masks_never_go_to_the_folder_of_the_scans(model, tmp_path, name, capsys):
    path = tmp_path / "scans" / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert cli.main(["predict", "-m", model, "-i", str(path), "-o", str(path.parent)]) == 2
    assert cli.main(["predict", "-m", model, "-i", str(tmp_path / "scans"), "-o", str(tmp_path / "scans")]) == 2
    assert capsys.readouterr().err.count("other than that of the scans") == 2


def test_masks_among_files_are_left_out_as_in_folders(tmp_path, capsys):
    names = ["a.nii.gz", "a_seg.nii.gz", "b.nrrd", "b.seg.nrrd", "case_1/imaging.nii.gz", "case_1/segmentation.nii.gz"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [case.name for case in find_scans([tmp_path / name for name in names])] == ["a", "b", "case_1"]
    assert "a_seg.nii.gz" in capsys.readouterr().err
    assert [case.name for case in find_scans([tmp_path / "a_seg.nii.gz"])] == ["a_seg"]  # it is named, so it is meant
    with pytest.raises(InputError, match="masks only"):
        find_scans([tmp_path / "a_seg.nii.gz", tmp_path / "b.seg.nrrd"])


@pytest.mark.parametrize("name", ["""a b[1]'";|&*?<>`$x^$(é模型) 100%""", "x" * 230], ids=["nasty", "long"])
def test_any_name_of_a_scan_and_a_folder(doubled, model, tmp_path, name, recwarn):
    path, out = scan(tmp_path / name / f"{name}.nii.gz"), tmp_path / f"{name} out"
    args = ["-i", path, "-o", str(out), "--overlay", "--json", str(out / "summary.json")]
    assert cli.main(["predict", "-m", str(shutil.copytree(model, tmp_path / f"{name} model")), *args]) == 0
    assert visible(out) == sorted([f"{name}.nii.gz", f"{name}.png", "summary.json"])
    assert not [one for one in recwarn if "Glyph" in str(one.message)]


def test_no_kidney_is_an_empty_mask_a_warning_and_success(doubled, model, tmp_path, capsys):
    path = scan(tmp_path / "ct.nii.gz", np.zeros(SHAPE, np.uint8))
    assert cli.main(["predict", "-m", model, "-i", path, "-o", str(tmp_path / "out"), "--overlay"]) == 0
    assert not np.asarray(nib.load(tmp_path / "out" / "ct.nii.gz").dataobj).any()
    assert "warning: " in (error := capsys.readouterr().err) and "no kidney found" in error
    assert (tmp_path / "out" / "ct.png").exists()


def test_several_models_and_where_they_disagree(model, tmp_path, capsys):
    other = tmp_path / "other"
    save_tiny_model(other, tiny_recipe(fine="unet2d").model_copy(update={"name": "other"}))
    path, out = scan(tmp_path / "ct.nii.gz"), tmp_path / "out"
    args = ["-m", model, str(other), "-i", path, "-o", str(out), "--device", "CPU", "--disagreement"]
    assert cli.main(["predict", *args, "--json", str(tmp_path / "summary.json")]) == 0
    given = nib.load(path)
    for name in ("ct.nii.gz", "ct_disagreement.nii.gz"):
        written = nib.load(out / name)
        assert written.shape == given.shape and written.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(written.affine, given.affine)
    assert set(np.unique(written.dataobj)) <= {0, 50, 100} and b"percent" in written.header["descrip"].item()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["recipe"] == "tiny + other" and summary["model"] == f"{model} + {other}"
    assert set(summary["cases"][0]["seconds"]) >= {"1 coarse", "2 fine"}


def test_finders_only_help_to_find(model, tmp_path, capsys):
    save_tiny_model(tmp_path / "finder")
    path, files = scan(tmp_path / "ct.nii.gz"), ["--json", str(tmp_path / "summary.json"), "--device", "CPU"]
    args = ["predict", "-m", model, "--finders", str(tmp_path / "finder"), "-i", path, "-o", str(tmp_path / "out")]
    assert cli.main([*args, *files]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["recipe"] == "tiny" and summary["model"] == model
    assert summary["finders"] == [str(tmp_path / "finder")]
    assert set(summary["cases"][0]["seconds"]) == {"1 coarse", "2 coarse", "1 fine", "1 components"}
    assert nib.load(tmp_path / "out" / "ct.nii.gz").shape == nib.load(path).shape
    (tmp_path / "finder" / "coarse" / "best.ckpt").unlink()
    assert cli.main([*args, "--overwrite"]) == 2
    assert "finder/coarse/best.ckpt" in capsys.readouterr().err


def test_what_is_doubtful_about_scan_and_result_is_said(doubled, model, tmp_path, capsys):
    path = save_scan(tmp_path / "ct.nii.gz", make_hu(LABELS), (12.0, 8.0, 8.0))
    summary = tmp_path / "summary.json"
    assert cli.main(["predict", "-m", model, "-i", str(path), "-o", str(tmp_path / "out"), "--json", str(summary)]) == 0
    said = json.loads(summary.read_text())["cases"][0]["warnings"]
    assert ["12 x 8 x 8 mm" in said[0], "more than 900" in said[-1]] == [True, True]
    error = capsys.readouterr().err
    assert all(f"warning: {warning}" in error for warning in said)


def test_disagreement_needs_several_models(model, tmp_path, capsys):
    path = scan(tmp_path / "ct.nii.gz")
    assert cli.main(["predict", "-m", model, "-i", path, "-o", str(tmp_path / "out"), "--disagreement"]) == 2
    assert "several models" in capsys.readouterr().err and not (tmp_path / "out").exists()
