"""Orientation against nibabel and SimpleITK, exact round trips, and one clear error for every broken file."""

from __future__ import annotations

import gzip
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from kidneyseg.errors import InputError
from kidneyseg.volume.nifti import read_image, read_mask, write_mask

SHAPE = (5, 6, 7)
ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def _affine(order, signs, spacing=(0.8, 1.1, 3.0)) -> np.ndarray:
    """File axis ``i`` runs along world axis ``order[i]`` with ``signs[i]``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs)):
        affine[world, axis] = sign * spacing[axis]
    affine[:3, 3] = (-12.5, 30, 101)
    return affine


def _voxels(seed=0, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 2000, shape).astype(np.int16)


@pytest.mark.parametrize("order, signs", ORIENTATIONS)
def test_every_orientation_reads_as_nibabel_and_itk_and_writes_back_exactly(tmp_path, order, signs):
    data, affine = _voxels(), _affine(order, signs)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    scan = read_image(path)

    ras = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    np.testing.assert_array_equal(scan.array, np.asarray(ras.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1])
    lps = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    np.testing.assert_array_equal(scan.array, sitk.GetArrayFromImage(lps))
    np.testing.assert_allclose(scan.spacing, lps.GetSpacing()[::-1], rtol=1e-6)
    corner = np.array(scan.affine @ (1, 2, 3, 1))[:3] * (-1, -1, 1)
    np.testing.assert_allclose(corner, lps.TransformIndexToPhysicalPoint((3, 2, 1)), atol=1e-4)

    out = tmp_path / "mask.nii.gz"
    write_mask(out, scan.array > 500, scan)
    written = nib.load(out)
    np.testing.assert_array_equal(np.asarray(written.dataobj), data > 500)
    np.testing.assert_array_equal(written.affine, nib.load(path).affine)
    np.testing.assert_array_equal(read_mask(out).array, scan.array > 500)


def test_mask_keeps_qform_sform_codes_shape_and_drops_scaling(tmp_path):
    image = nib.Nifti1Image(_voxels()[..., None], None)
    tilt = np.diag([-0.7, -0.7, 2.5, 1])
    tilt[:3, :3] = nib.eulerangles.euler2mat(0.2, 0.1, -0.15) @ tilt[:3, :3]
    image.set_qform(tilt, 1)
    image.set_sform(_affine((2, 1, 0), (-1, -1, -1)), 3)
    image.header.set_slope_inter(2, -1024)
    image.header["cal_max"] = 300
    path, out = tmp_path / "scan.nii", tmp_path / "sub" / "mask.nii.gz"
    nib.save(image, path)
    scan = read_image(path)
    mask = np.arange(scan.array.size, dtype=np.int64).reshape(scan.array.shape) % 256
    write_mask(out, mask, scan)
    before, after = nib.load(path).header, nib.load(out).header
    for key in (
        "qform_code",
        "sform_code",
        "quatern_b",
        "quatern_c",
        "quatern_d",
        "qoffset_x",
        "srow_x",
        "srow_y",
        "srow_z",
        "pixdim",
        "dim",
        "xyzt_units",
    ):
        np.testing.assert_array_equal(before[key], after[key], err_msg=key)
    assert after.get_data_dtype() == np.uint8 and after.get_slope_inter() == (None, None) and after["cal_max"] == 0
    np.testing.assert_array_equal(read_mask(out).array, mask)
    assert [p.name for p in out.parent.iterdir()] == ["mask.nii.gz"]


def test_oblique_scan_goes_to_its_nearest_axes(tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(0.3, 0.2, 0.25) @ np.diag([0.8, 0.9, 2.0])
    nib.save(nib.Nifti1Image(_voxels(), affine), tmp_path / "a.nii")
    scan = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(scan.array, _voxels().transpose(2, 1, 0)[:, ::-1, ::-1])
    np.testing.assert_allclose(scan.spacing, (2.0, 0.9, 0.8), rtol=1e-6)


@pytest.mark.parametrize(
    "dtype, slope, inter, expected",
    [
        (np.int16, 1, -1024, np.int16),
        (np.uint16, 1, -1024, np.int16),
        (np.int32, 1, 0, np.int16),
        (np.float32, 1, 0, np.int16),
        (np.float64, 1, 0, np.int16),
        (np.int16, 0.5, 0, np.float32),
    ],
)
def test_hu_survive_every_storage_type(tmp_path, dtype, slope, inter, expected):
    stored = (np.arange(210).reshape(SHAPE) * 9 - (0 if inter else 1000)).astype(dtype)
    image = nib.Nifti1Image(stored, np.diag([-1, -1, 1, 1]))
    raw = bytearray(image.to_bytes())
    raw[112:120] = np.array([slope, inter], "<f4").tobytes()  # scl_slope, scl_inter: nibabel would rescale the data
    (tmp_path / "a.nii").write_bytes(raw)
    scan = read_image(tmp_path / "a.nii")
    assert scan.array.dtype == expected
    np.testing.assert_array_equal(scan.array, (stored.astype(float) * slope + inter).transpose(2, 1, 0))


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_itk_formats_equal_the_nifti_of_the_same_scan(tmp_path, suffix):
    nib.save(nib.Nifti1Image(_voxels(), _affine((1, 2, 0), (-1, 1, -1))), tmp_path / "a.nii")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii")), str(tmp_path / f"b{suffix}"))
    a, b = read_image(tmp_path / "a.nii"), read_image(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(a.array, b.array)
    np.testing.assert_allclose(a.affine, b.affine, atol=1e-4)
    write_mask(tmp_path / "m.nii.gz", b.array > 0, b)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj), _voxels() > 0)


def _save(path, data, affine=np.diag([-1.0, -1, 1, 1])):
    nib.save(nib.Nifti1Image(data, affine), path)


def _broken(tmp_path, kind):
    path = tmp_path / "bad.nii.gz"
    if kind == "truncated":
        _save(path, np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16))
        path.write_bytes(path.read_bytes()[:4000])
    elif kind == "short":
        path = tmp_path / "bad.nii"
        _save(path, _voxels())
        path.write_bytes(path.read_bytes()[:-50])
    elif kind == "text":
        path.write_text("not an image")
    elif kind == "gzipped text":
        path.write_bytes(gzip.compress(b"still not an image" * 100))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "4-D":
        _save(path, np.zeros((4, 4, 4, 2), np.int16))
    elif kind == "2-D":
        _save(path, np.zeros((4, 4), np.int16))
    elif kind == "nan":
        _save(path, np.where(np.arange(210).reshape(SHAPE) < 3, np.nan, 1).astype(np.float32))
    elif kind == "colour":
        _save(path, np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif kind == "singular":
        _save(path, _voxels(), np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    elif kind == "no orientation":
        nib.save(nib.Nifti1Image(_voxels(), None), path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "other format":
        path = tmp_path / "bad.png"
        path.write_bytes(b"")
    elif kind == "broken mha":
        path = tmp_path / "bad.mha"
        path.write_text("NDims = 3")
    return path


@pytest.mark.parametrize(
    "kind, words",
    [
        ("missing", "no such file"),
        ("truncated", "broken"),
        ("short", "broken"),
        ("text", "broken"),
        ("gzipped text", "broken"),
        ("empty", "broken"),
        ("4-D", "shape (4, 4, 4, 2)"),
        ("2-D", "shape (4, 4)"),
        ("nan", "3 voxels that are NaN"),
        ("colour", "one number per voxel"),
        ("singular", "inverted"),
        ("no orientation", "sform_code"),
        ("folder", "a folder"),
        ("other format", "bad.png"),
        ("broken mha", "broken"),
    ],
)
def test_broken_files_give_one_error_that_names_them(tmp_path, kind, words):
    path = _broken(tmp_path, kind)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert str(path) in str(caught.value) and words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [-1, 256, 0.5, np.nan])
def test_masks_hold_labels_only(tmp_path, value):
    data = np.zeros(SHAPE, np.float32)
    data[0, 0, 0] = value
    _save(tmp_path / "m.nii.gz", data)
    with pytest.raises(InputError, match="1 voxels with values such as"):
        read_mask(tmp_path / "m.nii.gz")


def test_whole_numbers_in_a_floating_point_mask_are_labels(tmp_path):
    data = (np.arange(210).reshape(SHAPE) % 3).astype(np.float64)
    _save(tmp_path / "m.nii.gz", data)
    mask = read_mask(tmp_path / "m.nii.gz")
    assert mask.array.dtype == np.uint8 and mask.array.flags.c_contiguous
    np.testing.assert_array_equal(mask.array, data.transpose(2, 1, 0))
    assert mask.voxel_ml == pytest.approx(0.001)


def test_labels_may_be_read_as_others(tmp_path):
    data = (np.arange(210).reshape(SHAPE) % 5).astype(np.uint8)
    _save(tmp_path / "m.nii.gz", data)
    merged = read_mask(tmp_path / "m.nii.gz", {3: 1, 4: 2}).array
    assert merged.dtype == np.uint8
    np.testing.assert_array_equal(merged, np.array([0, 1, 2, 1, 2])[data].transpose(2, 1, 0))


@pytest.mark.parametrize("dtype, labels", [(np.int16, (0, 1, 2)), (np.uint8, (0, 1, 2)), (np.uint8, (0, 1, 2, 3, 5))])
def test_labels_that_scaling_moved_are_rounded(tmp_path, dtype, labels):
    """Floats under an integer header: nibabel scales them to its range, and 1 comes back as 1.00002 or 0.996."""
    expected = np.resize(labels, SHAPE)
    image = nib.Nifti1Image(expected.astype(np.float64), np.diag([-1.0, -1, 1, 1]))
    image.header.set_data_dtype(dtype)
    nib.save(image, tmp_path / "m.nii.gz")
    assert not np.array_equal(nib.load(tmp_path / "m.nii.gz").get_fdata(), expected)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz").array, expected.transpose(2, 1, 0))


def test_labels_that_scaling_did_not_move_are_refused(tmp_path):
    data = np.resize([0, 1, 1.1, 2], SHAPE)
    image = nib.Nifti1Image(data, np.diag([-1.0, -1, 1, 1]))
    image.header.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii.gz")
    nib.save(
        nib.Nifti1Image(np.where(data == 1, np.float32(1.00002), np.float32(0)), np.diag([-1.0, -1, 1, 1])),
        tmp_path / "b.nii.gz",
    )
    for name in ("a.nii.gz", "b.nii.gz"):
        with pytest.raises(InputError, match="whole numbers from 0 to 255"):
            read_mask(tmp_path / name)


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_voxel_under_gantry_tilt_has_the_volume_of_its_determinant(tmp_path, degrees):
    affine = np.diag([-0.8, -0.8, 3.0, 1])
    affine[1, 2] = 3 * np.tan(np.radians(degrees))  # the table moves 3 mm, slices lean
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), affine), tmp_path / "m.nii.gz")
    assert read_mask(tmp_path / "m.nii.gz").voxel_ml == pytest.approx(0.8 * 0.8 * 3 / 1000)


def test_a_mask_keeps_nothing_that_may_name_the_patient(tmp_path):
    name = b"DOE^JANE"
    image = nib.Nifti1Image(_voxels(), _affine((0, 1, 2), (-1, -1, 1)))
    for key in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[key] = name
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", name))
    nib.save(image, tmp_path / "scan.nii")
    assert (tmp_path / "scan.nii").read_bytes().count(name) == 5
    scan = read_image(tmp_path / "scan.nii")
    write_mask(tmp_path / "mask.nii", scan.array > 0, scan)
    assert name not in (tmp_path / "mask.nii").read_bytes()
    write_mask(tmp_path / "mask.nii", scan.array > 0, scan, "of a tumour")
    assert nib.load(tmp_path / "mask.nii").header["descrip"].item() == b"of a tumour"


def test_failed_writing_leaves_nothing(tmp_path):
    _save(tmp_path / "a.nii", _voxels())
    scan = read_image(tmp_path / "a.nii")
    with pytest.raises(InputError, match="a name that ends in"):
        write_mask(tmp_path / "out" / "m.png", scan.array > 0, scan)
    with pytest.raises(ValueError, match="does not fit a scan"):
        write_mask(tmp_path / "out" / "m.nii", scan.array[1:] > 0, scan)
    assert not (tmp_path / "out").exists()
