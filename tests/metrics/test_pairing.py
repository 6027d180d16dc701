import pytest

from kidneyseg.errors import InputError
from kidneyseg.metrics.pairing import find_masks, pair_masks


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    "names, cases",
    [
        (
            ["case_00000/segmentation.nii.gz", "case_00000/imaging.nii.gz", "case_00001/segmentation.nii.gz"],
            ["case_00000", "case_00001"],
        ),
        (["data/case_00002/segmentation.nii.gz", "README.md"], ["case_00002"]),
        (["imagesTr/kits_7_0000.nii.gz", "labelsTr/kits_7.nii.gz", "dataset.json"], ["kits_7"]),
        (["prediction_00000.nii.gz", "prediction_00001.nii"], ["00000", "00001"]),
        (["a.nii.gz", "a_seg.nii.gz", "b.mha", "b-label.mha", ".hidden.nii.gz"], ["a", "b"]),
        (["case_00000.nii.gz", "scores.json"], ["case_00000"]),
        (
            [
                "case_00000/aggregated_MAJ_seg.nii.gz",
                "case_00000/aggregated_OR_seg.nii.gz",
                "case_00000/imaging.nii.gz",
            ],
            ["case_00000"],
        ),
        (["case_00001/Segmentation.NII.GZ"], ["case_00001"]),
        (["a.nrrd", "a.seg.nrrd"], ["a"]),
    ],
)
def test_layouts(tmp_path, names, cases):
    masks = find_masks(touch(tmp_path, *names))
    assert sorted(masks) == cases
    assert all("imag" not in str(path.relative_to(tmp_path)) for path in masks.values())


def test_scan_beside_its_mask_is_not_taken(tmp_path):
    assert find_masks(touch(tmp_path, "a.nii.gz", "a_mask.nii.gz"))["a"].name == "a_mask.nii.gz"


def test_kits21_is_scored_by_the_majority_of_its_annotators(tmp_path):
    names = [f"case_00000/aggregated_{kind}_seg.nii.gz" for kind in ("AND", "MAJ", "OR")]
    assert find_masks(touch(tmp_path, *names))["case_00000"].name == "aggregated_MAJ_seg.nii.gz"


def paired(tmp_path, predictions, truth):
    """(pairs of names, predictions left over, rule)"""
    masks = [
        find_masks(touch(tmp_path / part, *(f"{name}.nii.gz" for name in names)))
        for part, names in (("p", predictions), ("t", truth))
    ]
    pairing = pair_masks(*masks)
    pairs = [(pair.case, pair.prediction and pair.prediction.name.removesuffix(".nii.gz")) for pair in pairing.pairs]
    return pairs, pairing.without_truth, pairing.rule


@pytest.mark.parametrize(
    "predictions, truth, pairs, left, rule",
    [
        (["case_2", "other_1"], ["case_1", "case_2"], [("case_1", None), ("case_2", "case_2")], ["other_1"], None),
        (["k_1_0000", "k_2_0000"], ["k_1", "k_2"], [("k_1", "k_1_0000"), ("k_2", "k_2_0000")], [], "without _0000"),
        (["k_0000", "k_0001"], ["k_0000"], [("k_0000", "k_0000")], ["k_0001"], None),
        (
            ["prediction_00012", "prediction_00099"],
            ["case_00003", "case_00012"],
            [("case_00003", None), ("case_00012", "prediction_00012")],
            ["00099"],
            "by number",
        ),
    ],
)
def test_pairs(tmp_path, predictions, truth, pairs, left, rule):
    assert paired(tmp_path, predictions, truth) == (pairs, left, rule)


@pytest.mark.parametrize(
    "predictions, truth",
    [
        (["left"], ["case_1"]),
        (["P003_series_2", "P007_series_5"], ["P002_v2", "P005_v5"]),  # the last number is not the case's
        (["k_1_0000"], ["k_0"]),
        (["a_1", "b_1"], ["case_1"]),
        (["a_1", "b_2"], ["case_1", "case_2"]),
        (["p_1", "p_01"], ["case_1"]),
    ],
)
def test_names_that_do_not_agree_are_refused(tmp_path, predictions, truth):
    with pytest.raises(InputError, match="named like the truth"):
        paired(tmp_path, predictions, truth)


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_masks(tmp_path / "absent")
    with pytest.raises(InputError, match="none in it"):
        find_masks(tmp_path)
    with pytest.raises(InputError, match="one mask per case"):
        find_masks(touch(tmp_path / "twice", "a.nii", "a.nii.gz"))
    with pytest.raises(InputError, match="one mask per case"):
        find_masks(touch(tmp_path / "kits", "case_00000/segmentation.nii", "case_00000/segmentation.nii.gz"))
