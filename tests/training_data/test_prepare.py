from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from views import true_view

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, parse_recipe, save_recipe
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.mindrecord import read_records
from kidneyseg.training_data.prepare import prepare, prepare_case
from kidneyseg.training_data.prepared_case import PreparedCase, locate_cases, record_file
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import normalise
from kidneyseg.volume.nifti import read_image, read_mask


def recipe(**coarse) -> Recipe:
    return parse_recipe(
        {
            "name": "tiny",
            "stages": [
                {
                    "name": "coarse",
                    "sampling": {"spacing": [4, 3, 3], "patch": [8, 16, 16], "stride": [8, 12, 12]} | coarse,
                    "targets": [[1, 2]],
                    "network": {"name": "unet3d"},
                    "loss": {"name": "dice_ce"},
                },
                {
                    "name": "fine",
                    "region": {"of": "coarse", "gap": 4, "margin": 1},
                    "sampling": {"size": [32, 32]},
                    "targets": [[1], [2]],
                    "network": {"name": "unet2d"},
                    "loss": {"name": "dice_ce"},
                },
            ],
        }
    )


def write_case(folder: Path, seed: int) -> None:
    """A CT of (20, 60, 70) voxels with two kidneys, stored z first with KiTS's permuted affine."""
    rng = np.random.default_rng(seed)
    hu = rng.integers(-20, 60, (20, 60, 70)).astype(np.int16)
    hu[:, :5] = hu[:, -5:] = hu[:, :, :5] = hu[:, :, -5:] = -1000
    label = np.zeros(hu.shape, np.uint8)
    label[4:14, 30:45, 12:24] = 1
    label[6:16, 28:44, 46:60] = 1
    label[8:11, 33:38, 50:55] = 2
    hu[label > 0] += 150
    affine = np.array([[0, 0, -1.5, 50], [0, -1.5, 0, 50], [-3, 0, 0, 100], [0, 0, 0, 1.0]])
    folder.mkdir(parents=True)
    nib.save(nib.Nifti1Image(hu, affine), folder / "imaging.nii.gz")
    nib.save(nib.Nifti1Image(label, affine), folder / "segmentation.nii.gz")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number in range(3):
        write_case(folder / f"case_{number:05d}", number)
    return folder


@pytest.fixture(scope="module")
def work(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    prepare(recipe(), find_cases(data), folder, workers=1)
    return folder


def contents(work: Path) -> dict[str, bytes]:
    files = [path for path in sorted((work / "prepared").rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(work)): path.read_bytes() for path in files}


def test_what_is_written(data, work):
    folder = work / "prepared" / "case_00001"
    made = PreparedCase.read(folder)
    assert made.shape == [20, 60, 70] and made.spacing == [3.0, 1.5, 1.5]
    assert sorted(path.name for path in folder.iterdir()) == [
        "case.json",
        *(f"case_00001.{stage}.mindrecord{end}" for stage in ("coarse", "fine") for end in ("", ".db")),
    ]
    for stage, shape in (("coarse", (8, 16, 16)), ("fine", (32, 32))):
        rows = list(read_records([record_file(folder, "case_00001", stage)], shape))
        assert [bool(row["foreground"]) for row in rows] == made.stages[stage].foreground
        assert any(made.stages[stage].foreground)


def test_geometry_brings_the_slices_back_to_the_scan(data, work):
    folder = work / "prepared" / "case_00002"
    made = PreparedCase.read(folder)
    label = read_mask(data / "case_00002" / "segmentation.nii.gz").array
    rows = list(read_records([record_file(folder, "case_00002", "fine")], (32, 32)))
    grids = made.stages["fine"].roi_grids()
    back = np.zeros_like(label)
    for roi, grid in enumerate(grids):
        stack = np.stack([row["label"] for row in rows if row["roi"] == roi])
        back = np.maximum(back, sample(stack, grid, Grid.of(label), 0))
    assert len(grids) == 2
    np.testing.assert_array_equal(back, label)


OTHERS = {
    "whole": ({"shape": [16, 32, 32]}, {"crop": "kidneys", "margin": 10, "least": 64, "voxels": "scan"}),
    "slabs": ({"slices": 8, "size": [32, 32], "stride": 4, "slice_spacing": 2.0, "near": 3}, {"crop": "slices"}),
    "stacks": ({"size": [32, 32], "stack": 3, "slice_spacing": 1.5}, {"crop": "box", "masked": True}),
}


def test_records_of_every_sampling_are_its_samples(data, tmp_path):
    """A second, third and fourth stage on the first; read back in batches they are what was cut."""
    base = recipe().model_dump(mode="json", exclude_none=True)
    base["stages"][1:] = [
        {
            "name": name,
            "region": {"of": "coarse"} | region,
            "sampling": sampling,
            "targets": [[1], [2]],
            "network": {"name": "unet3d", "depth": 2},
            "loss": {"name": "dice_ce"},
        }
        for name, (sampling, region) in OTHERS.items()
    ]
    made = parse_recipe(base)
    case = find_cases(data)[0]
    prepare_case(case, made, tmp_path)
    scan, label = read_image(case.image), read_mask(case.label).array
    for stage in made.stages[1:]:
        grids, samples = stage_samples(true_view(scan, label, made, stage), label)
        samples = list(samples)
        found = list(Batches(tmp_path, stage, [case.name], batch_size=5).epoch(0))
        image, target = (np.concatenate([batch[k] for batch in found]) for k in (0, 1))
        assert image.shape == (len(samples), stage.channels, *stage.sampling.window)
        np.testing.assert_array_equal(target, np.stack([s.label for s in samples]))
        middle = image[:, stage.channels // 2].reshape(len(samples), *stage.sampling.window)
        np.testing.assert_array_equal(middle, normalise(np.stack([s.image for s in samples]), 119.84, 103.80))
        if stage.channels > 1:
            [grid] = grids
            np.testing.assert_array_equal(image[1:, 0], image[:-1, 1])
            np.testing.assert_array_equal(image[-1, 2], image[-1, 1])
            assert len(samples) == grid.shape[0]


def test_done_cases_are_skipped_and_stay_as_they_are(data, work):
    before = {path: path.stat().st_mtime_ns for path in (work / "prepared").rglob("*.mindrecord")}
    summary = prepare(recipe(), find_cases(data), work, workers=2)
    assert summary.skipped == ["case_00000", "case_00001", "case_00002"] and not summary.prepared + summary.rebuilt
    assert before == {path: path.stat().st_mtime_ns for path in (work / "prepared").rglob("*.mindrecord")}
    assert summary.samples["coarse"] > 0 and summary.bytes > 0


def test_changed_files_and_broken_notes_are_made_again(data, work, tmp_path, capsys):
    shutil.copytree(work, tmp_path / "work")
    first, second, third = find_cases(data)
    changed = nib.load(second.label)
    other = np.asarray(changed.dataobj).copy()
    other[8, 34, 51] = 1
    nib.save(nib.Nifti1Image(other, changed.affine), tmp_path / second.label.name)
    (tmp_path / "work" / "prepared" / third.name / "case.json").write_text('{"case": ')
    again = Case(second.name, second.image, tmp_path / second.label.name)
    summary = prepare(recipe(), [first, again, third], tmp_path / "work", workers=2)
    assert (summary.skipped, summary.rebuilt) == (["case_00000"], ["case_00001", "case_00002"])
    assert "2 cases were prepared with other settings or files" in capsys.readouterr().out


def test_a_cohort_that_moved_is_not_made_again_and_is_found_where_it_is(data, work, tmp_path):
    shutil.copytree(work, tmp_path / "work")
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    os.utime(moved / "case_00001" / "imaging.nii.gz", (0, 0))  # as a copy that keeps no times
    assert len(prepare(recipe(), find_cases(moved), tmp_path / "work", workers=1).skipped) == 3
    cases = locate_cases(tmp_path / "work", ["case_00000", "case_00001"])
    assert [case.image.parent.parent for case in cases] == [moved, moved]


NASTY = """a b[1]'";|&*?<>`$x$(é模型) 100%"""


@pytest.mark.parametrize("name", [NASTY, "x" * 230, "模" * 75], ids=["nasty", "long", "Chinese"])
def test_any_name_can_be_prepared_and_read(data, tmp_path, name):
    case = find_cases(data)[0]
    prepare(recipe(), [Case(name, case.image, case.label)], tmp_path / NASTY / "work", workers=1)
    batches = Batches(tmp_path / NASTY / "work", recipe().stage("fine"), [name], batch_size=2)
    assert next(iter(batches.epoch(0)))[2][0] == name


def test_changed_settings_make_a_case_again(data, work, tmp_path):
    shutil.copytree(work, tmp_path / "work")
    changed = recipe(stride=[4, 12, 12])
    assert prepare(changed, find_cases(data)[:1], tmp_path / "work", workers=1).rebuilt == ["case_00000"]
    counts = [
        len(PreparedCase.read(folder / "prepared" / "case_00000").stages["coarse"].foreground)
        for folder in (work, tmp_path / "work")
    ]
    assert counts[0] < counts[1]


def test_training_settings_do_not_matter(data, work):
    other = recipe()
    stages = tuple(s.model_copy(update={"train": s.train.model_copy(update={"epochs": 3})}) for s in other.stages)
    assert len(prepare(other.model_copy(update={"stages": stages}), find_cases(data), work).skipped) == 3


def test_failing_cases_are_all_listed_and_the_others_done(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    broken = tmp_path / "data" / "case_00000" / "imaging.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-3000])
    other = tmp_path / "data" / "case_00002" / "segmentation.nii.gz"
    image = nib.load(other)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:-1], image.affine), other)
    with pytest.raises(InputError) as error:
        prepare(recipe(), find_cases(tmp_path / "data"), tmp_path / "work", workers=2)
    assert "2 of 3 cases" in str(error.value) and "case_00000" in str(error.value) and "case_00002" in str(error.value)
    assert sorted(os.listdir(tmp_path / "work" / "prepared")) == [".lock", "case_00001"]


def test_what_is_doubtful_is_said(data, tmp_path, capsys):
    for name in ("imaging", "segmentation"):
        image = nib.load(data / "case_00000" / f"{name}.nii.gz")
        thick = np.diag([-1.5, -1.5, 12, 1])
        (tmp_path / "data" / "thick").mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), thick), tmp_path / "data" / "thick" / f"{name}.nii.gz")
    assert prepare(recipe(), find_cases(tmp_path / "data"), tmp_path / "work", workers=1).prepared == ["thick"]
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [("imaging" in line, "segmentation" in line) for line in warnings] == [(True, False), (False, True)]
    assert all("spacing of 0.1-10 mm" in line for line in warnings)


@pytest.mark.parametrize("fault, said", [("label 3", r"also \[3\]"), ("affine", "shape and affine of .*imaging")])
def test_labels_that_do_not_belong_are_refused(tmp_path, fault, said):
    write_case(tmp_path / "data" / "case", 0)
    path = tmp_path / "data" / "case" / "segmentation.nii.gz"
    image = nib.load(path)
    label, affine = np.array(image.dataobj), image.affine.copy()
    if fault == "affine":
        affine[0, 3] += 7
    else:
        label[3, 3, 3] = 3
    nib.save(nib.Nifti1Image(label, affine), path)
    with pytest.raises(InputError, match=said):
        prepare_case(find_cases(tmp_path / "data")[0], recipe(), tmp_path / "work")
    assert list((tmp_path / "work" / "prepared").iterdir()) == []


def test_merged_labels_make_the_records_of_the_label_they_are_read_as(tmp_path):
    settings = recipe()
    merging = settings.model_copy(update={"merge": {3: 1}})
    labels = {}
    for name, cyst, how in (("cysts", 3, merging), ("kidney", 1, settings)):
        write_case(tmp_path / name / "case", 0)
        path = tmp_path / name / "case" / "segmentation.nii.gz"
        image = nib.load(path)
        label = np.array(image.dataobj)
        label[5:8, 31:36, 14:20] = cyst
        nib.save(nib.Nifti1Image(label, image.affine), path)
        prepare_case(find_cases(tmp_path / name)[0], how, tmp_path / name)
        file = record_file(tmp_path / name / "prepared" / "case", "case", "fine")
        labels[name] = [row["label"].tobytes() for row in read_records([file], (32, 32))]
        held = PreparedCase.read(tmp_path / name / "prepared" / "case").labels
        assert held == ([1, 2, 3] if name == "cysts" else [1, 2])  # the sampler knows cysts, merged or not
    assert labels["cysts"] == labels["kidney"]
    assert prepare(merging, find_cases(tmp_path / "cysts"), tmp_path / "cysts", workers=1).skipped == ["case"]
    assert prepare(merging, find_cases(tmp_path / "kidney"), tmp_path / "kidney", workers=1).rebuilt == ["case"]


def test_a_scan_without_label_and_a_name_used_twice_are_refused(data, tmp_path):
    image = data / "case_00000" / "imaging.nii.gz"
    with pytest.raises(InputError, match="a label beside the scan"):
        prepare(recipe(), [Case("a", image, None)], tmp_path)
    with pytest.raises(InputError, match="one scan per case name"):
        prepare(recipe(), [Case("a", image, image)] * 2, tmp_path)


RUN = """
import sys
from pathlib import Path
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.training_data.prepare import prepare
from kidneyseg.recipe import load_recipe
if __name__ == "__main__":
    prepare(load_recipe(sys.argv[1]), find_cases(sys.argv[2]), sys.argv[3], workers=1)
"""


def test_killed_and_run_again_gives_identical_records(data, work, tmp_path):
    """SIGKILL while the second case is written: nothing half-written shows, and the next run completes the rest."""
    save_recipe(recipe(), tmp_path / "recipe.yaml")
    (tmp_path / "run.py").write_text(RUN)
    own = tmp_path / "work"
    run = subprocess.Popen([sys.executable, *map(str, (tmp_path / "run.py", tmp_path / "recipe.yaml", data, own))])
    deadline = time.monotonic() + 60
    while run.poll() is None and time.monotonic() < deadline:
        if list((own / "prepared").glob(".case_0000[12].*")):
            break
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.wait()
    visible = [path.name for path in (own / "prepared").iterdir() if not path.name.startswith(".")]
    assert "case_00000" in visible and len(visible) < 3
    for name in visible:
        assert PreparedCase.read(own / "prepared" / name).stages.keys() == {"coarse", "fine"}
    summary = prepare(recipe(), find_cases(data), own, workers=2)
    assert set(summary.skipped) >= set(visible) and len(summary.skipped) + len(summary.prepared) == 3
    assert contents(own) == contents(work)


def test_two_runs_on_one_folder_are_refused(data, tmp_path):
    (tmp_path / "prepared").mkdir()
    with open(tmp_path / "prepared" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="no other `kidneyseg prepare`"):
            prepare(recipe(), find_cases(data), tmp_path)
