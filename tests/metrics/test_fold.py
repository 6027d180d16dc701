import math

import pytest

from kidneyseg.metrics.fold import score_fold


def test_mean_and_sd_leave_out_undefined_values():
    scores = score_fold([
        {"case": "a", "kidney": 0.9, "hd95_tumour": 2.0},
        {"case": "b", "kidney": 0.7, "hd95_tumour": math.nan},
        {"case": "c", "kidney": 0.5, "hd95_tumour": 6.0},
    ], missing=["b"])
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
