import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.metrics.mask_folder import score_folder

AFFINE = np.array([[0, 0, -0.8, 100], [0, -0.8, 0, 90], [3, 0, 0, -50], [0, 0, 0, 1.0]])  # z first, as KiTS


def scene(shift=0):
    mask = np.zeros((12, 24, 24), np.uint8)
    mask[2:10, 6 + shift : 16 + shift, 5:15] = 1
    mask[4:7, 8 + shift : 12 + shift, 8:12] = 2
    return mask


def save(path, mask, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(mask, affine), path)


@pytest.fixture
def folders(tmp_path):
    """Truth of three cases; a perfect prediction, one that is shifted and stored x first, and none."""
    for number in range(3):
        save(tmp_path / f"truth/case_0000{number}/segmentation.nii.gz", scene())
    save(tmp_path / "masks/prediction_00000.nii.gz", scene())
    x_first = AFFINE[:, [2, 1, 0, 3]]
    save(tmp_path / "masks/prediction_00001.nii.gz", scene(shift=1).transpose(2, 1, 0), x_first)
    save(tmp_path / "masks/prediction_00042.nii.gz", scene())
    return tmp_path / "masks", tmp_path / "truth"


@pytest.mark.parametrize("workers", [1, 2])
def test_scores_a_folder(folders, workers):
    scores = score_folder(*folders, workers=workers)
    perfect, shifted, absent = scores.cases
    assert [case["case"] for case in scores.cases] == ["case_00000", "case_00001", "case_00002"]
    assert perfect["kidney"] == perfect["tumour"] == perfect["surface_dice_masses"] == 1
    assert shifted["kidney"] == pytest.approx(0.9) and shifted["tumour"] == pytest.approx(0.75)
    assert shifted["hd95_kidney_and_masses"] == pytest.approx(0.8)
    assert absent["kidney"] == absent["tumour"] == 0
    assert scores.missing == ("case_00002",) and scores.without_truth == ("00042",)
    assert scores.mean["kidney"] == pytest.approx((1 + 0.9 + 0) / 3)
    assert scores.mean["hd95_kidney_and_masses"] == pytest.approx(0.4)
    assert scores.undefined["hd95_tumour"] == ("case_00002",)


@pytest.mark.parametrize("workers", [1, 2])
def test_other_geometry_is_named_and_the_rest_scored(folders, workers):
    predictions, truth = folders
    moved = AFFINE.copy()
    moved[2, 3] += 3
    save(predictions / "prediction_00001.nii.gz", scene(), moved)
    scores = score_folder(predictions, truth, workers=workers)
    assert [case["case"] for case in scores.cases] == ["case_00000", "case_00002"]
    assert scores.mean["kidney"] == pytest.approx((1 + 0) / 2)
    ((case, said),) = scores.failed.items()
    assert case == "case_00001" and "3.0 mm away" in said and "prediction_00001" in said


def test_other_shapes_everywhere_are_an_error(folders):
    predictions, truth = folders
    for number in range(2):
        save(predictions / f"prediction_0000{number}.nii.gz", scene()[:-1])
    save(predictions / "prediction_00002.nii.gz", scene()[:-1])
    with pytest.raises(InputError, match=r"3 of 3 cases.*\(11, 24, 24\)"):
        score_folder(predictions, truth)


def test_works_without_mindspore():
    code = "import sys; import kidneyseg.metrics.mask_folder; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
