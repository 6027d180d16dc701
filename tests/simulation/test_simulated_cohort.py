"""SimKiTS cases on disk: KiTS layout and orientation, whatever the orientation of the masks."""

from __future__ import annotations

import zlib

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.simulation.abdomen import resample_labels, simulate
from kidneyseg.simulation.simulated_cohort import SimulatedCase, claim_folder, find_labels, simulate_case
from kidneyseg.volume.nifti import read_image, read_mask

KITS_AFFINE = np.array([[0, 0, -5, 0], [0, -5, 0, 0], [-8, 0, 0, 0], [0, 0, 0, 1.0]])


def _label() -> np.ndarray:
    label = np.zeros((20, 40, 48), np.uint8)
    label[5:15, 22:30, 8:16] = 1
    label[6:9, 24:27, 10:13] = 2
    label[11:13, 24:27, 10:13] = 3
    return label


def _write(path, image):
    path.parent.mkdir(parents=True)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("orientation", ["IPL", "RAS"])
def test_same_case_from_masks_of_any_orientation(tmp_path, orientation):
    image = nib.Nifti1Image(_label(), KITS_AFFINE)
    if orientation == "RAS":
        image = nib.as_closest_canonical(image)
    path = _write(tmp_path / "in/case_1/segmentation.nii.gz", image)
    simulate_case(SimulatedCase("case_1", path, tmp_path / "case_1", None, True, 19))
    written = nib.load(tmp_path / "case_1/imaging.nii.gz")
    expected = np.where(_label() == 3, 1, _label()).astype(np.uint8)
    np.testing.assert_array_equal(
        np.asarray(written.dataobj), simulate(expected, (8, 5, 5), [19, zlib.crc32(b"case_1")])
    )
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "case_1/segmentation.nii.gz").dataobj), expected)
    assert nib.aff2axcodes(written.affine) == ("I", "P", "L")
    np.testing.assert_allclose(written.affine, KITS_AFFINE, atol=1e-4)


def test_resampled_case_covers_the_same_part_of_the_world(tmp_path):
    path = _write(tmp_path / "in/case_1/segmentation.nii.gz", nib.Nifti1Image(_label(), KITS_AFFINE))
    simulate_case(SimulatedCase("case_1", path, tmp_path / "case_1", (16, 10, 10), False, 19))
    before, after = read_mask(path), read_mask(tmp_path / "case_1/segmentation.nii.gz")
    np.testing.assert_array_equal(after.array[::-1], resample_labels(_label(), (8, 5, 5), (16, 10, 10))[0])
    for corner in (-0.5, 0.5):  # outer voxel faces
        a = before.affine @ [*(np.array(before.array.shape) * (corner + 0.5) - 0.5), 1]
        b = after.affine @ [*(np.array(after.array.shape) * (corner + 0.5) - 0.5), 1]
        np.testing.assert_allclose(a, b, atol=1e-3)
    assert read_image(tmp_path / "case_1/imaging.nii.gz").array.shape == after.array.shape


def test_existing_cases_are_kept_and_failures_leave_nothing(tmp_path):
    (tmp_path / "kept").mkdir()
    simulate_case(SimulatedCase("kept", tmp_path / "no such mask", tmp_path / "kept", None, False, 0))
    for name, label in (("empty", np.zeros((9, 9, 9), np.uint8)), ("strange", np.full((9, 9, 9), 7, np.uint8))):
        path = _write(tmp_path / f"in/{name}/segmentation.nii.gz", nib.Nifti1Image(label, KITS_AFFINE))
        with pytest.raises(InputError, match="1 kidney, 2 tumour, 3 cyst"):
            simulate_case(SimulatedCase(name, path, tmp_path / name, None, False, 0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "kept"]


def test_find_labels(tmp_path):
    for name in ("case_2", "case_1"):
        _write(tmp_path / name / "segmentation.nii.gz", nib.Nifti1Image(_label(), KITS_AFFINE))
    assert list(find_labels(tmp_path)) == ["case_1", "case_2"]
    assert list(find_labels(tmp_path, ["case_2"])) == ["case_2"]
    with pytest.raises(InputError, match="no case_9"):
        find_labels(tmp_path, ["case_9", "case_1"])
    with pytest.raises(InputError, match="KiTS masks"):
        find_labels(tmp_path / "case_1")


def test_a_folder_belongs_to_one_cohort(tmp_path):
    claim_folder(tmp_path / "new", {"seed": 1})
    claim_folder(tmp_path / "new", {"seed": 1})
    with pytest.raises(InputError, match="delete this one"):
        claim_folder(tmp_path / "new", {"seed": 2})
    with pytest.raises(InputError, match="other origin"):
        claim_folder(tmp_path, {"seed": 1})
