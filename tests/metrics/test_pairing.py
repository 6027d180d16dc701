import pytest

from kidneyseg.errors import InputError
from kidneyseg.metrics.pairing import find_masks, pair_masks


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("names, cases", [
    (["case_00000/segmentation.nii.gz", "case_00000/imaging.nii.gz", "case_00001/segmentation.nii.gz"],
     ["case_00000", "case_00001"]),
    (["data/case_00002/segmentation.nii.gz", "README.md"], ["case_00002"]),
    (["imagesTr/kits_7_0000.nii.gz", "labelsTr/kits_7.nii.gz", "dataset.json"], ["kits_7"]),
    (["prediction_00000.nii.gz", "prediction_00001.nii"], ["00000", "00001"]),
    (["a.nii.gz", "a_seg.nii.gz", "b.mha", "b-label.mha", ".hidden.nii.gz"], ["a", "b"]),
    (["case_00000.nii.gz", "scores.json"], ["case_00000"]),
])
def test_layouts(tmp_path, names, cases):
    masks = find_masks(touch(tmp_path, *names))
    assert sorted(masks) == cases
    assert all("imag" not in str(path.relative_to(tmp_path)) for path in masks.values())


def test_scan_beside_its_mask_is_not_taken(tmp_path):
    assert find_masks(touch(tmp_path, "a.nii.gz", "a_mask.nii.gz"))["a"].name == "a_mask.nii.gz"


def test_pairs_by_name(tmp_path):
    truth = find_masks(touch(tmp_path / "t", "case_1/segmentation.nii.gz", "case_2/segmentation.nii.gz"))
    predictions = find_masks(touch(tmp_path / "p", "case_2.nii.gz", "other_1.nii.gz"))
    pairs, left = pair_masks(predictions, truth)
    assert [(p.case, p.prediction and p.prediction.name) for p in pairs] == [
        ("case_1", None), ("case_2", "case_2.nii.gz"),
    ]
    assert left == ["other_1"]


def test_pairs_by_number(tmp_path):
    truth = find_masks(touch(tmp_path / "t", "case_00003/segmentation.nii.gz", "case_00012/segmentation.nii.gz"))
    predictions = find_masks(touch(tmp_path / "p", "prediction_00012.nii.gz", "prediction_00099.nii.gz"))
    pairs, left = pair_masks(predictions, truth)
    assert [(p.case, p.prediction and p.prediction.name) for p in pairs] == [
        ("case_00003", None), ("case_00012", "prediction_00012.nii.gz"),
    ]
    assert left == ["00099"]


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_masks(tmp_path / "absent")
    with pytest.raises(InputError, match="none in it"):
        find_masks(tmp_path)
    with pytest.raises(InputError, match="one mask per case"):
        find_masks(touch(tmp_path / "twice", "a.nii", "a.nii.gz"))
    truth = find_masks(touch(tmp_path / "t", "case_1.nii.gz"))
    with pytest.raises(InputError, match="named like the truth"):
        pair_masks(find_masks(touch(tmp_path / "p", "left.nii.gz")), truth)
    with pytest.raises(InputError, match="number 1"):
        pair_masks(find_masks(touch(tmp_path / "q", "a_1.nii.gz", "b_1.nii.gz")), truth)
