"""What real scans may be is accepted without a word; what none is, is refused or doubted, whatever the file."""

import nibabel as nib
import numpy as np
import pytest
from cascade_doubles import ellipsoid, make_labels, save_scan

from kidneyseg.errors import InputError
from kidneyseg.volume.nifti import read_image, read_mask
from kidneyseg.volume.plausibility import result_doubts

SHAPE, SPACING = (24, 40, 48), (3.0, 1.5, 1.5)


def anatomy(seed=0) -> np.ndarray:
    """HU of an abdomen whose lungs end and whose pelvis begins within the scan: air, fat, organs, bone, noise."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, -1000.0)
    hu[ellipsoid(SHAPE, (12, 20, 24), (60, 18, 22))] = -100
    hu[ellipsoid(SHAPE, (12, 20, 24), (60, 14, 18))] = 50
    for side in (13, 35):
        hu[ellipsoid(SHAPE, (24, 18, side), (10, 9, 8))] = -850
        hu[ellipsoid(SHAPE, (0, 22, side), (9, 6, 6))] = 600
        hu[ellipsoid(SHAPE, (11, 24, side), (5, 4, 4))] = 180
    hu[hu > -1000] += rng.normal(0, 15, np.count_nonzero(hu > -1000))
    return np.rint(hu).astype(np.int16)


HU = anatomy()
LEGAL = {
    "HU": HU,
    "one slice": HU[10:11],
    "clipped at [-79, 304]": HU.clip(-79, 304),
    "clipped at [-125, 275]": HU.clip(-125, 275),
    "padded": np.where(ellipsoid(SHAPE, (12, 20, 24), (99, 19, 23)), HU, -3024).astype(np.int16),
    "fractions": HU * np.float32(1.0009),
    "4096 slices": np.concatenate([HU[:4, ::5, ::6]] * 1024),
}


@pytest.mark.parametrize("kind", LEGAL)
def test_legal_scans_are_accepted_without_a_word(tmp_path, kind):
    assert read_image(save_scan(tmp_path / "ct.nii.gz", LEGAL[kind], SPACING)).doubts == ()


REFUSED = {
    "8-bit window": (np.interp(HU, (-160, 240), (0, 255)).astype(np.uint8), SPACING, "values from 0 to 255"),
    "percentages": (np.interp(HU, (-1000, 1000), (0, 100)).astype(np.float32), SPACING, "values from 0 to"),
    "intercept lost": ((HU + 1100).astype(np.uint16), SPACING, "Subtract 1024"),
    "all air": (np.full(SHAPE, -1024, np.int16), SPACING, "only air"),
    "micrometres": (HU, (3000, 800, 800), "3000 x 800 x 800 mm (z, y, x)"),
    "metres": (HU, (0.003, 0.0008, 0.0008), "0.003 x 0.0008 x 0.0008 mm"),
    "a line": (np.concatenate([HU[:1, :1, :1]] * 9000, 2), SPACING, "shape (9000, 1, 1)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_scan_is_gives_one_error(tmp_path, kind):
    array, spacing, words = REFUSED[kind]
    with pytest.raises(InputError) as caught:
        read_image(save_scan(tmp_path / "ct.nii.gz", array, spacing))
    assert words in str(caught.value) and "ct.nii.gz" in str(caught.value)


DOUBTED = {
    "intercept lost beside padding": (np.where(HU == -1000, -2000, HU + 1100).astype(np.int16), SPACING, "but -2000"),
    "second phase": (np.concatenate([HU, anatomy(1)]), SPACING, "repeat from slice 24 of 48 on"),
    "part of a second phase": (np.concatenate([HU, anatomy(1)[:14] + 20]), SPACING, "repeat from slice 24 of 38 on"),
    "thick": (HU, (15, 1.5, 1.5), "15 x 1.5 x 1.5 mm"),
}


@pytest.mark.parametrize("kind", DOUBTED)
def test_what_hardly_any_scan_is_is_said(tmp_path, kind):
    array, spacing, words = DOUBTED[kind]
    (doubt,) = read_image(save_scan(tmp_path / "ct.nii.gz", array, spacing)).doubts
    assert words in str(doubt)


FLIPPED = np.diag([1.5, -1.5, 3, 1.0])
TILTED = np.array([[-1.5, 0, 0, 0], [0, -1.5, 1.1, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    "sform, qform, doubted",
    [
        (np.diag([-1.5, -1.5, 3, 1]), np.diag([-1.5, -1.5, 3, 1]), False),
        (np.diag([-1.5, -1.5, 3, 1]), FLIPPED, True),
        (np.diag([-0.8, -0.8, 3, 1]), np.diag([-0.6, -0.6, 3, 1]), True),
        (TILTED, np.diag([-1.5, -1.5, 3, 1]), False),  # no qform can be sheared
        (np.diag([-1.5, -1.5, 3, 1]), None, False),
    ],
)
def test_sform_and_qform_should_agree(tmp_path, sform, qform, doubted):
    image = nib.Nifti1Image(np.zeros((8, 8, 8), np.uint8), None)
    image.set_qform(qform, 0 if qform is None else 1)
    image.set_sform(sform, 1, update_affine=True)
    image.header["pixdim"][1:4] = np.linalg.norm((sform if qform is None else qform)[:3, :3], axis=0)
    nib.save(image, tmp_path / "m.nii.gz")
    doubts = read_mask(tmp_path / "m.nii.gz").doubts
    assert [doubt.expected for doubt in doubts] == ["an sform and a qform that agree"] * doubted


def test_a_quaternion_that_is_none_is_doubted_where_the_sform_counts(tmp_path):
    image = nib.Nifti1Image(np.zeros((8, 8, 8), np.uint8), np.diag([-1.5, -1.5, 3, 1]))
    image.set_qform(image.affine, 1)
    image.header["quatern_b"] = 7
    nib.save(image, tmp_path / "m.nii.gz")
    (doubt,) = read_mask(tmp_path / "m.nii.gz").doubts
    assert "a qform that is none" in str(doubt)


def test_results_of_no_patient_are_said():
    kidneys = make_labels(SHAPE, [((11, 24, 13), (5, 4, 4)), ((11, 24, 35), (5, 4, 4))], [((11, 28, 35), (2, 2, 2))])
    assert result_doubts(kidneys, 0.2) == []
    assert result_doubts(np.where(kidneys == 1, kidneys, 0), 0.2) == []
    (large,) = result_doubts(kidneys, 2.0)
    assert "more than 900" in large and f"{np.count_nonzero(kidneys == 1) * 2:.0f} ml" in large
    lonely = kidneys.copy()
    lonely[2:4, 2:4, 2:4] = 2
    assert result_doubts(lonely, 0.25) == ["2.0 ml of tumour that does not touch a kidney"]
    (empty,) = result_doubts(np.zeros_like(kidneys), 0.2)
    assert "no kidney found" in empty
