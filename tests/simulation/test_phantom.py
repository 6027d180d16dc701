"""Phantoms look like kidneys to the numbers: volumes, contrast, sides, and one seed one volume."""

from __future__ import annotations

import cc3d
import nibabel as nib
import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.simulation.phantom import SHAPE, SPACING, make_phantom, write_cohort
from kidneyseg.volume.nifti import read_image, read_mask

SMALL = {"shape": (40, 80, 80), "spacing": (5.0, 3.2, 3.2)}


@pytest.mark.parametrize("seed", range(6))
def test_anatomy(seed):
    hu, label, spacing = make_phantom(seed, **SMALL)
    ml = np.prod(spacing) / 1000
    assert hu.dtype == np.int16 and label.dtype == np.uint8 and hu.shape == label.shape == SMALL["shape"]
    assert set(np.unique(label)) == {0, 1, 2}
    assert 60 < (label == 1).sum() * ml < 400
    assert 1 < (label == 2).sum() * ml < 250
    tumour, kidney = np.median(hu[label == 2]), np.median(hu[label == 1])
    assert kidney - tumour > 30
    organs = cc3d.connected_components(label > 0, connectivity=26)
    middle = label.shape[2] / 2
    for organ in range(1, organs.max() + 1):
        x = np.nonzero(organs == organ)[2].mean()
        assert abs(x - middle) * spacing[2] > 25  # none across the midline
    where = np.argwhere(label > 0)
    assert where[:, 1].mean() > label.shape[1] / 2  # kidneys lie towards the back
    assert (where > 0).all() and (where < np.array(label.shape) - 1).all()  # and inside the field of view


def test_full_size_cysts_and_determinism():
    hu, label, spacing = make_phantom(11, cysts=True)
    assert hu.shape == SHAPE and spacing == SPACING and set(np.unique(label)) == {0, 1, 2, 3}
    small = make_phantom(4, **SMALL), make_phantom(4, **SMALL), make_phantom(5, **SMALL)
    np.testing.assert_array_equal(small[0][0], small[1][0])
    np.testing.assert_array_equal(small[0][1], small[1][1])
    assert (small[0][1] != small[2][1]).any()


def test_too_small_a_field_of_view_is_refused():
    with pytest.raises(ValueError, match="field of view"):
        make_phantom(0, (10, 80, 80), (5, 3, 3))


def test_cohort_on_disk_differs_in_orientation_and_is_completed_not_repeated(tmp_path):
    folders = write_cohort(tmp_path / "p", 2, seed=1)
    assert [f.name for f in folders] == ["case_00000", "case_00001"]
    codes = [nib.aff2axcodes(nib.load(f / "imaging.nii.gz").affine) for f in folders]
    assert codes == [("I", "P", "L"), ("L", "P", "S")]
    for folder in folders:
        scan, mask = read_image(folder / "imaging.nii.gz"), read_mask(folder / "segmentation.nii.gz")
        assert mask.misplacement(scan) is None
        assert np.argwhere(mask.array > 0)[:, 1].mean() > mask.array.shape[1] / 2
    bytes_before = (folders[1] / "imaging.nii.gz").read_bytes()
    stamp = (folders[0] / "imaging.nii.gz").stat().st_mtime_ns
    for file in folders[1].iterdir():
        file.unlink()
    folders[1].rmdir()
    write_cohort(tmp_path / "p", 2, seed=1)
    assert (folders[1] / "imaging.nii.gz").read_bytes() == bytes_before
    assert (folders[0] / "imaging.nii.gz").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="other settings|made with"):
        write_cohort(tmp_path / "p", 2, seed=2)
