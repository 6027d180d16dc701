"""Every kind of fault is found, all of them at once, and a sound cohort has none."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.check import check_case, check_cohort

AFFINE = np.diag([-0.8, -0.8, 3, 1.0])
SHAPE = (12, 11, 10)


def _scan():
    return np.random.default_rng(0).normal(0, 100, SHAPE).astype(np.int16)


def _mask():
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    mask[3, 3, 3] = 2
    return mask


def _case(folder, scan=None, mask=None, affine=AFFINE, mask_affine=AFFINE, name="case") -> Case:
    folder.mkdir(exist_ok=True)
    paths = folder / f"{name}.nii.gz", folder / f"{name}_seg.nii.gz"
    nib.save(nib.Nifti1Image(_scan() if scan is None else scan, affine), paths[0])
    nib.save(nib.Nifti1Image(_mask() if mask is None else mask, mask_affine), paths[1])
    return Case(name, *paths)


def _truncated(folder, which):
    case = _case(folder)
    path = getattr(case, which)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return case


def _flipped_qform(folder):
    case = _case(folder)
    image = nib.load(case.image)
    image.set_qform(AFFINE @ np.diag([1, -1, 1, 1]), 1)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), case.image)
    return case


def _one_bit(folder):
    case = _case(folder)
    data = bytearray(case.label.read_bytes())
    data[-9] ^= 1
    case.label.write_bytes(data)
    return case


def _with(array, value):
    array = array.astype(np.float32) if not np.isfinite(value) else array.copy()
    array[0, 0, 0] = value
    return array


MOVED = AFFINE + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4])
FAULTS = {
    "shape": (lambda f: _case(f, mask=_mask()[:-1]), ["shape (10, 11, 11)"]),
    "affine": (lambda f: _case(f, mask_affine=MOVED), ["corners up to 0.5 mm away"]),
    "label": (lambda f: _case(f, mask=_with(_mask(), 5)), ["5 (1 voxels)"]),
    "nan": (lambda f: _case(f, scan=_with(_scan(), np.nan)), ["1 voxels that are NaN"]),
    "infinite": (lambda f: _case(f, scan=_with(_scan(), np.inf)), ["1 voxels that are NaN or infinite"]),
    "4-D": (lambda f: _case(f, scan=np.stack([_scan()] * 2, -1)), ["shape (12, 11, 10, 2)"]),
    "truncated scan": (lambda f: _truncated(f, "image"), ["a broken one"]),
    "truncated mask": (lambda f: _truncated(f, "label"), ["a broken one"]),
    "no mask": (lambda f: Case("case", _case(f).image, None), ["none"]),
    "no kidney": (lambda f: _case(f, mask=np.zeros(SHAPE, np.uint8)), ["none"]),
    "spacing": (
        lambda f: _case(f, affine=np.diag([0.01, 0.8, 30, 1]), mask_affine=np.diag([0.01, 0.8, 30, 1])),
        ["30 x 0.8 x 0.01 mm"] * 2,
    ),
    "window": (lambda f: _case(f, scan=np.clip(_scan(), 0, 255)), ["values from 0 to 255"]),
    "air": (lambda f: _case(f, scan=np.full(SHAPE, -1024, np.int16)), ["only air"]),
    "thick": (
        lambda f: _case(f, affine=np.diag([-0.8, -0.8, 15, 1]), mask_affine=np.diag([-0.8, -0.8, 15, 1])),
        ["15 x 0.8 x 0.8 mm"] * 2,
    ),
    "flipped qform": (lambda f: _flipped_qform(f), ["mm apart"]),
    "one bit": (lambda f: _one_bit(f), ["a broken one"]),
    "all at once": (
        lambda f: _case(f, scan=_with(_scan(), np.nan), mask=_with(np.zeros(SHAPE, np.uint8), 9)),
        ["1 voxels that are NaN", "9 (1 voxels)", "none"],
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_fault_is_found(tmp_path, kind):
    make, found = FAULTS[kind]
    faults = check_case(make(tmp_path))
    assert [words in fault.found for fault, words in zip(faults, found)] == [True] * len(found), faults
    assert len(faults) == len(found)
    assert all(fault.case == "case" and fault.remedy and fault.expected for fault in faults)


def test_sound_cases_have_no_faults(tmp_path):
    tilted = AFFINE.copy()
    tilted[:3, 3] += 0.1  # within half a voxel: rounding of another tool
    flipped = nib.as_closest_canonical(nib.Nifti1Image(_mask(), AFFINE))
    cases = [
        _case(tmp_path),
        _case(tmp_path, mask_affine=tilted, name="rounded"),
        _case(tmp_path, mask=np.asarray(flipped.dataobj), mask_affine=flipped.affine, name="turned"),
    ]
    assert check_cohort(cases) == []
    assert check_cohort([_case(tmp_path, mask=_with(_mask(), 3), name="cyst")], (1, 2, 3)) == []


def test_cohort_reports_all_cases_in_order_and_doubled_names(tmp_path):
    bad = _case(tmp_path / "a", scan=_with(_scan(), np.nan), name="one")
    twins = [_case(tmp_path / "a", name="two"), _case(tmp_path / "b", name="two")]
    faults = check_cohort([bad, *twins], workers=2)
    assert [(f.case, f.expected) for f in faults] == [
        ("one", "finite HU in every voxel"),
        ("two", "one scan of this name"),
        ("two", "one scan of this name"),
    ]
