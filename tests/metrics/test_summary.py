import math

import numpy as np
import pytest

from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.dice import dice
from kidneyseg.metrics.summary import pooled_dice, score_fold


def test_mean_and_sd_leave_out_undefined_values():
    scores = score_fold(
        [
            {"case": "a", "kidney": 0.9, "hd95_tumour": 2.0},
            {"case": "b", "kidney": 0.7, "hd95_tumour": math.nan},
            {"case": "c", "kidney": 0.5, "hd95_tumour": 6.0},
        ],
        missing=["b"],
    )
    assert scores.mean == pytest.approx({"kidney": 0.7, "hd95_tumour": 4})
    assert scores.sd == pytest.approx({"kidney": math.sqrt(0.08 / 3), "hd95_tumour": 2})
    assert scores.undefined == {"hd95_tumour": ("b",)}
    assert scores.missing == ("b",)
    assert [case["case"] for case in scores.cases] == ["a", "b", "c"]


def test_a_value_no_case_has_is_nan():
    scores = score_fold([{"case": "a", "hd95_tumour": math.nan}])
    assert math.isnan(scores.mean["hd95_tumour"]) and math.isnan(scores.sd["hd95_tumour"])


def test_single_case_has_no_spread():
    assert score_fold([{"case": "a", "kidney": 0.9}]).sd == {"kidney": 0}


def test_no_cases():
    with pytest.raises(ValueError, match="no cases"):
        score_fold([])


def test_pooled_dice_is_that_of_all_masks_as_one():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 3, (3, n, n)), rng.integers(0, 3, (3, n, n))) for n in (4, 9, 15)]
    scores = score_fold([{"case": str(n), **score_case(p, t, (2, 1, 1))} for n, (p, t) in enumerate(pairs)])
    predicted, true = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    expected = {"kidney": dice(predicted > 0, true > 0), "tumour": dice(predicted == 2, true == 2)}
    assert pooled_dice(scores) == pytest.approx(expected)


def test_pooled_dice_leaves_out_what_is_not_known():
    mask = np.ones((2, 4, 4), int)
    known, unknown = score_case(mask, mask, (1, 1, 1)), score_case(mask, mask, (1, 1, 1), {1: (1, 2)})
    pooled = pooled_dice(score_fold([{"case": "a", **known}, {"case": "b", **unknown}]))
    assert pooled["kidney"] == 1 and math.isnan(pooled["tumour"])
