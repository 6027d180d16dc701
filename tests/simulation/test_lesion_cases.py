"""Cases with lesions on an analytic abdomen: what is painted is what the mask says, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg import cli
from kidneyseg.errors import InputError
from kidneyseg.simulation import lesion_cases
from kidneyseg.simulation.lesion_cases import with_lesions
from kidneyseg.volume.nifti import Scan

SPACING = (3.0, 2.0, 2.0)
SHAPE = (60, 70, 110)
CENTRES = ((90, 70, 165), (90, 70, 55))


def ellipsoid(centre, radii):
    points = np.moveaxis(np.indices(SHAPE), 0, -1) * SPACING
    return (((points - centre) / radii) ** 2).sum(axis=-1) < 1


def kidneys():
    label = np.zeros(SHAPE, np.uint8)
    for centre in CENTRES:
        label[ellipsoid(centre, (50, 24, 24))] = 1
    return label


def one_slice():
    """A block of 36 ml in two slices, as cohorts of single slices have them."""
    label = np.zeros(SHAPE, np.uint8)
    label[30:32, 20:50, 20:70] = 1
    return label


def kits_mask(value):
    """Kidneys with a half exophytic lesion on the left one."""
    label = kidneys()
    label[ellipsoid((95, 70, 190), (14, 14, 14))] = value
    return label


def abdomen():
    """Fat, enhancing kidneys and a bony wall behind them, with noise, clipped as public scans are."""
    hu = np.where(kidneys() == 1, 200.0, -100.0)
    hu[:, 52:] = 275
    hu += np.random.default_rng(0).normal(0, 8, SHAPE)
    return hu.clip(-125, 275).round().astype(np.int16)


def canonical_affine():
    """Index (z, y, x) to mm when z grows to Superior, y to Posterior and x to Left."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = SPACING[0], -SPACING[1], -SPACING[2], 1
    return affine


def scan_of(array):
    return Scan(array, SPACING, Path("made"), canonical_affine(), nib.Nifti1Header())


def write(path, array, codes="SPL"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, canonical_affine())
    change = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    nib.save(image.as_reoriented(change), path)
    return path


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """KiTS masks with a tumour and with a cyst."""
    folder = tmp_path_factory.mktemp("kits")
    return [write(folder / f"case_0000{value}/segmentation.nii.gz", kits_mask(value)) for value in (2, 3)]


def lesions_with(seed, masks):
    return with_lesions(np.random.default_rng(seed), scan_of(abdomen()), scan_of(kidneys()), masks)


@pytest.mark.parametrize("seed", range(3))
def test_the_rest_of_the_scan_is_untouched(masks, seed):
    hu, label = lesions_with(seed, masks[1:])
    cyst, before = label == 3, abdomen()
    assert cyst.sum() > 50
    np.testing.assert_array_equal(label[~cyst], kidneys()[~cyst])
    for kept in (~ndi.binary_dilation(cyst, iterations=4), ndi.binary_erosion(before > 240)):  # far away, and bone
        np.testing.assert_array_equal(hu[kept], before[kept])
    assert hu.dtype == np.int16 and (hu.min(), hu.max()) == (-125, 275)
    assert -5 < hu[ndi.binary_erosion(cyst, iterations=2)].mean() < 25


def test_the_mask_is_what_is_at_least_half_painted(masks, monkeypatch):
    monkeypatch.setattr(lesion_cases, "lesion_hu", lambda rng, label, depth, look: np.zeros(depth.shape))
    hu, label = lesions_with(0, masks)
    half = abdomen() / 2
    clear = (kidneys() == 1) & (np.abs(hu - half) > 1)  # of the rounding to whole HU
    np.testing.assert_array_equal((label >= 2)[clear], (hu < half)[clear])


def test_one_seed_gives_one_case(masks):
    first, again, other = (lesions_with(seed, masks) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()


def test_a_lesion_without_room_is_left_out(masks, monkeypatch):
    monkeypatch.setattr(lesion_cases, "LESIONS", 2)
    monkeypatch.setattr(lesion_cases, "KIDNEY_LEFT", 1)
    hu, label = lesions_with(0, masks)
    np.testing.assert_array_equal(hu, abdomen())
    np.testing.assert_array_equal(label, kidneys())


def test_masks_without_lesions_are_refused(tmp_path):
    path = write(tmp_path / "kits/case_00000/segmentation.nii.gz", kidneys())
    with pytest.raises(InputError, match="kits: expected masks with tumours"):
        lesions_with(0, [path])


@pytest.mark.parametrize("codes", ["IPL", "LAS"])
def test_cases_of_a_cohort(tmp_path, masks, codes):
    source = tmp_path / "real/case_7"
    write(source / "imaging.nii.gz", abdomen(), codes)
    write(source / "segmentation.nii.gz", kidneys(), codes)
    line = ["simulate", str(masks[0].parent.parent), str(tmp_path / "out"), "--onto", str(tmp_path / "real")]
    assert cli.main([*line, "--copies", "2", "--workers", "1"]) == 0
    assert sorted(p.name for p in tmp_path.glob("out/case*")) == ["case_7_lesions00", "case_7_lesions01"]
    like = nib.load(source / "imaging.nii.gz")
    for name in ("imaging", "segmentation"):
        made = nib.load(tmp_path / f"out/case_7_lesions01/{name}.nii.gz")
        np.testing.assert_allclose(made.affine, like.affine, atol=1e-4)
        assert made.shape == like.shape
    untouched = np.asarray(made.dataobj) == np.asarray(nib.load(source / "segmentation.nii.gz").dataobj)
    assert 0.9 < untouched.mean() < 1


def test_cases_that_are_there_are_kept(tmp_path, masks):
    (tmp_path / "there").mkdir()
    lesion_cases.lesion_case(lesion_cases.LesionCase("there", None, tuple(masks), tmp_path / "there", 0))
    assert not any((tmp_path / "there").iterdir())


@pytest.mark.parametrize("label", [np.zeros(SHAPE, np.uint8), kidneys() * 4, one_slice()])
def test_a_scan_without_kidneys_is_refused(tmp_path, masks, label, capsys):
    write(tmp_path / "real/case_7/imaging.nii.gz", abdomen())
    write(tmp_path / "real/case_7/segmentation.nii.gz", label)
    line = ["simulate", str(masks[0].parent.parent), str(tmp_path / "out"), "--onto", str(tmp_path / "real")]
    assert cli.main([*line, "--workers", "1"]) == 2
    assert "at least 20 ml of one kidney" in capsys.readouterr().err
    assert not list(tmp_path.glob("out/case*"))
