"""Scores of whole scans against their cohort's masks."""

from dataclasses import replace

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, make_model, make_recipe, save_scan

from kidneyseg.cohort.case import Case, DataSet
from kidneyseg.errors import InputError
from kidneyseg.evaluation.held_out import evaluate_cases

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)
LABELS = make_labels(SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 7))], [((10, 32, 44), (3, 4, 4))])


def write_case(folder, truth) -> Case:
    image = save_scan(folder / "imaging.nii.gz", make_hu(LABELS), SPACING, axes=(0, 1, 2), flips=(True, False, True))
    label = save_scan(folder / "segmentation.nii.gz", truth, SPACING, axes=(0, 1, 2), flips=(True, False, True))
    return Case(folder.name, image, label)


def evaluate(case, out, merge):
    return evaluate_cases(make_model(make_recipe().model_copy(update={"merge": merge})), [case], out)


def test_truth_is_merged_as_the_recipe_says(tmp_path):
    cysts = LABELS.copy()
    cysts[5:12, 20:30, 10:16][LABELS[5:12, 20:30, 10:16] == 1] = 3
    plain = evaluate(write_case(tmp_path / "kidney", LABELS), tmp_path / "plain", {})
    merged = evaluate(write_case(tmp_path / "cysts", cysts), tmp_path / "merged", {3: 1})
    apart = evaluate(write_case(tmp_path / "again", cysts), tmp_path / "apart", {})
    assert merged.scores.mean == plain.scores.mean and merged.oracle.mean == plain.oracle.mean
    assert plain.scores.mean["dice_masses"] > 0.8 > apart.scores.mean["dice_masses"]


def test_a_mask_of_another_scan_is_refused_before_the_work(tmp_path):
    case = write_case(tmp_path / "case", LABELS[:-1])
    with pytest.raises(InputError, match="segmentation.*shape and affine of .*imaging"):
        evaluate(case, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_masks_and_times_are_left(tmp_path):
    result = evaluate(write_case(tmp_path / "case", LABELS), tmp_path / "out", {})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case.nii.gz"]
    assert result.seconds.keys() == {"case"} and result.scores.mean["kidney"] > 0.8
    assert np.isfinite(list(result.oracle.mean.values())).all()


def test_what_a_data_set_does_not_label_is_not_scored(tmp_path):
    kidneys = np.minimum(LABELS, 1)
    case = replace(write_case(tmp_path / "case", kidneys), dataset=DataSet(folder=tmp_path, covers={1: [1, 2, 3]}))
    result = evaluate(case, tmp_path / "out", {})
    for scores in (result.scores.mean, result.oracle.mean):
        assert scores["kidney"] > 0.8 and np.isnan(scores["tumour"]) and np.isnan(scores["composite"])
        assert scores["volume_ml_tumour_prediction"] > 0 and np.isnan(scores["volume_ml_tumour_truth"])


def test_a_single_slice_is_scored_on_true_regions_alone(tmp_path):
    image = save_scan(tmp_path / "slice" / "imaging.nii.gz", make_hu(LABELS)[9:10], SPACING)
    label = save_scan(tmp_path / "slice" / "segmentation.nii.gz", LABELS[9:10], SPACING)
    result = evaluate(Case("slice", image, label), tmp_path / "out", {})
    assert result.scores is None and result.oracle.mean["kidney"] > 0.8 and not result.seconds
