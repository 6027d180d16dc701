"""`kidneyseg cohort` and `kidneyseg simulate` as a user meets them: output, exit status, one error for bad input."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.cli import main
from kidneyseg.cohort.folds import load_splits

KITS_AFFINE = np.array([[0, 0, -5, 0], [0, -5, 0, 0], [-8, 0, 0, 0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    for n in range(4):
        label = np.zeros((16, 40, 48), np.uint8)
        label[4:12, 22:30, 8:16] = 1
        label[6 : 7 + n, 24:27, 10:13] = 2
        label[4, 22:24, 8:10] = 3
        path = folder / f"case_{n:05d}" / "segmentation.nii.gz"
        path.parent.mkdir()
        nib.save(nib.Nifti1Image(label, KITS_AFFINE), path)
    return folder


@pytest.fixture(scope="module")
def cohort(masks, tmp_path_factory):
    out = tmp_path_factory.mktemp("simkits") / "data"
    assert main(["simulate", str(masks), str(out), "--kits19", "--workers", "1"]) == 0
    return out


def test_simulate_writes_kits_and_is_repeatable(masks, cohort, tmp_path):
    assert sorted(p.name for p in cohort.glob("case_*")) == [f"case_{n:05d}" for n in range(4)]
    assert np.asarray(nib.load(cohort / "case_00000/segmentation.nii.gz").dataobj).max() == 2
    assert (
        main(["simulate", str(masks), str(tmp_path / "again"), "--kits19", "--cases", "case_00001", "--workers", "1"])
        == 0
    )
    first, again = (nib.load(root / "case_00001/imaging.nii.gz") for root in (cohort, tmp_path / "again"))
    np.testing.assert_array_equal(np.asarray(first.dataobj), np.asarray(again.dataobj))


def test_phantoms_pass_the_check(tmp_path, capsys):
    assert main(["simulate", "--phantom", "1", str(tmp_path / "p")]) == 0
    assert main(["cohort", "check", str(tmp_path / "p"), "--workers", "1"]) == 0
    assert "1 cases, no faults" in capsys.readouterr().out


def test_check_lists_all_faults_and_exits_1(cohort, tmp_path, capsys):
    for name in ("case_00000", "case_00001"):
        (tmp_path / name).mkdir()
        for file in (cohort / name).iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    broken = tmp_path / "case_00000" / "imaging.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    (tmp_path / "case_00001" / "imaging.nii.gz").unlink()
    assert main(["cohort", "check", str(tmp_path), "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "1 faults in 1 of 1 cases\n1 files or folders belong to no case" in out
    assert "case_00000/imaging.nii.gz" in out and "Copy or download it again" in out and "a mask only" in out
    assert main(["cohort", "check", str(tmp_path), "--workers", "1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == 1 and [fault["case"] for fault in found["faults"]] == ["case_00000", "-"]


@pytest.fixture
def kits19(cohort, tmp_path):
    """As it downloads: the last cases have no mask."""
    folder = tmp_path / "kits19"
    shutil.copytree(cohort, folder)
    (folder / "case_00003" / "segmentation.nii.gz").unlink()
    return folder


def test_cases_without_mask_are_a_note_and_no_fault_where_others_have_masks(kits19, capsys):
    assert main(["cohort", "check", str(kits19), "--workers", "1"]) == 0
    assert "1 of 4 cases have no mask: case_00003" in capsys.readouterr().out
    for file in kits19.glob("*/segmentation.nii.gz"):
        file.unlink()
    assert main(["cohort", "check", str(kits19), "--workers", "1"]) == 1
    assert "4 faults in 4 of 4 cases" in capsys.readouterr().out


def test_split_and_fingerprint_take_the_cases_that_have_masks(kits19, tmp_path, capsys):
    assert main(["cohort", "split", str(kits19), "--work", str(tmp_path), "--workers", "1", "--folds", "3"]) == 0
    assert sorted(name for fold in load_splits(tmp_path / "splits.json")["folds"] for name in fold["val"]) == [
        "case_00000",
        "case_00001",
        "case_00002",
    ]
    assert main(["cohort", "fingerprint", str(kits19), "--workers", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.count("1 of 4 cases have no mask and are left out: case_00003") == 2
    assert json.loads(out[out.index("{") :])["summary"]["cases"] == 3


def test_fingerprint_describes_the_cases_that_can_be_read(kits19, capsys):
    (kits19 / "case_00001" / "imaging.nii.gz").write_bytes(b"no gzip")
    assert main(["cohort", "fingerprint", str(kits19), "--workers", "1"]) == 2
    out, err = capsys.readouterr()
    assert "2 cases; file axes" in out and "1 of 3 cases" in err and "case_00001/imaging.nii.gz" in err


def test_fingerprint_prints_tables_or_json(cohort, capsys):
    assert main(["cohort", "fingerprint", str(cohort), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "4 cases" in out and "IPL (4)" in out and "8.00 x 5.00 x 5.00" in out and "label 2, ml, in 4 cases" in out
    assert main(["cohort", "fingerprint", str(cohort), "--workers", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["cases"] == 4


def test_split_writes_folds_and_never_silently_changes_them(cohort, tmp_path, capsys):
    split = ["cohort", "split", str(cohort), "--work", str(tmp_path / "w"), "--workers", "1", "--folds", "2"]
    assert main(split) == 0 == main(split)
    first = load_splits(tmp_path / "w" / "splits.json")
    # tumours of 9, 18, 27 and 36 voxels: one of the two smallest and one of the two largest in each fold
    assert [sorted(int(name[-1]) // 2 for name in fold["val"]) for fold in first["folds"]] == [[0, 1], [0, 1]]
    assert main([*split[:-1], "4"]) == 2 and "--overwrite" in capsys.readouterr().err
    assert load_splits(tmp_path / "w" / "splits.json") == first
    assert main([*split[:-1], "4", "--overwrite"]) == 0


def test_download_points_to_the_authors(capsys):
    assert main(["cohort", "download"]) == 0
    assert "github.com/neheller/kits19" in capsys.readouterr().out
