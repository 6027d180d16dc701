import warnings

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.regions import REGIONS

SPACING = (3.0, 0.8, 0.9)
# Re-typed from the official kits23 configuration, in its own terms, to check ours against.
KITS23_HECS = {"kidney_and_masses": (1, 2, 3), "masses": (2, 3), "tumour": (2,)}
KITS23_TOLERANCES = {
    "kidney_and_masses": 1.0330772532390826,
    "masses": 1.1328796488598762,
    "tumour": 1.1498198361434828,
}


def masks(seed, labels=4, shape=(14, 24, 22)):
    """A random label mask and a noisy copy of it."""
    rng = np.random.default_rng(seed)
    field = ndi.gaussian_filter(rng.standard_normal(shape), 2)
    truth = np.digitize(field / field.std(), np.linspace(0, 1.2, labels - 1)).astype(np.uint8)
    prediction = np.digitize(
        (field + ndi.gaussian_filter(rng.standard_normal(shape), 2) * 0.3) / field.std(),
        np.linspace(0, 1.2, labels - 1),
    ).astype(np.uint8)
    return prediction, truth


def kits19_evaluation(predictions, gt):
    """The formulas of KiTS19 as published: kidney and tumour Dice."""
    tk_pd, tk_gt = np.greater(predictions, 0), np.greater(gt, 0)
    tk_dice = 2 * np.logical_and(tk_pd, tk_gt).sum() / (tk_pd.sum() + tk_gt.sum())
    tu_pd, tu_gt = np.greater(predictions, 1), np.greater(gt, 1)
    tu_dice = 2 * np.logical_and(tu_pd, tu_gt).sum() / (tu_pd.sum() + tu_gt.sum())
    return tk_dice, tu_dice


@pytest.mark.parametrize("seed", range(3))
def test_equals_kits19(seed):
    prediction, truth = masks(seed, labels=3)
    assert set(np.unique(truth)) == {0, 1, 2}
    kidney, tumour = kits19_evaluation(prediction, truth)
    scores = score_case(prediction, truth, SPACING)
    assert scores["kidney"] == pytest.approx(kidney, abs=1e-9)
    assert scores["tumour"] == pytest.approx(tumour, abs=1e-9)
    assert scores["composite"] == pytest.approx((kidney + tumour) / 2, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_equals_kits23(seed):
    official = pytest.importorskip("surface_distance")
    prediction, truth = masks(seed)
    assert set(np.unique(truth)) == {0, 1, 2, 3}
    scores = score_case(prediction, truth, SPACING)
    for name, labels in KITS23_HECS.items():
        p, t = np.isin(prediction, labels), np.isin(truth, labels)
        tp, fp, fn = (p & t).sum(), (p & ~t).sum(), (~p & t).sum()
        assert scores[f"dice_{name}"] == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            distances = official.compute_surface_distances(t, p, SPACING)
        expected = official.compute_surface_dice_at_tolerance(distances, KITS23_TOLERANCES[name])
        assert scores[f"surface_dice_{name}"] == pytest.approx(expected, abs=1e-6)
        expected = official.compute_robust_hausdorff(distances, 95)
        assert scores[f"hd95_{name}"] == pytest.approx(expected, abs=1e-6)


def test_volumes_in_ml():
    truth = np.zeros((10, 20, 30), np.uint8)
    truth[2:4, 5:15, 5:15] = 1
    truth[2, 5:10, 5:10] = 2
    truth[3, 5:10, 5:9] = 3
    scores = score_case(np.zeros_like(truth), truth, (5, 2, 2))
    assert scores["volume_ml_kidney_and_masses_truth"] == pytest.approx(200 * 0.02)
    assert scores["volume_ml_masses_truth"] == pytest.approx(45 * 0.02)
    assert scores["volume_ml_tumour_truth"] == pytest.approx(25 * 0.02)
    assert scores["volume_ml_tumour_prediction"] == 0


def test_volumes_of_sheared_voxels_are_those_given():
    prediction, truth = masks(0)
    upright, sheared = (
        score_case(prediction, truth, (3, 0.8, 0.9)),
        score_case(prediction, truth, (3, 0.8, 0.9), voxel_ml=0.002),
    )
    for key, value in upright.items():
        assert sheared[key] == pytest.approx(value / 0.00216 * 0.002 if key.startswith("volume_ml") else value)


def test_empty_regions():
    empty, kidney = np.zeros((6, 6, 6), np.uint8), np.ones((6, 6, 6), np.uint8)
    for prediction, truth in ((empty, empty), (kidney, kidney), (empty, kidney), (kidney, empty)):
        of_kidney = 1 if prediction is truth else 0
        scores = score_case(prediction, truth, SPACING)
        assert scores["kidney"] == scores["surface_dice_kidney_and_masses"] == of_kidney
        assert scores["tumour"] == scores["surface_dice_tumour"] == 1  # empty in both
        assert np.isnan(scores["hd95_tumour"])
    assert score_case(kidney, kidney, SPACING)["hd95_kidney_and_masses"] == 0
    assert np.isnan(score_case(empty, kidney, SPACING)["hd95_kidney_and_masses"])


def test_other_values_are_background():
    prediction, truth = masks(5, labels=3)
    marked = prediction.copy()
    marked[prediction == 0] = 7
    assert score_case(marked, truth, SPACING) == pytest.approx(score_case(prediction, truth, SPACING))


def test_same_keys_in_every_case():
    prediction, truth = masks(1)
    empty = np.zeros_like(truth)
    keys = list(score_case(prediction, truth, SPACING))
    assert keys == list(score_case(empty, empty, SPACING))
    assert len(keys) == 3 + 5 * len(REGIONS)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        score_case(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), SPACING)
