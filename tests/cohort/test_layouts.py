"""Every layout found, nothing else mistaken for one."""

from __future__ import annotations

import pytest

from kidneyseg.cohort.layouts import find_cases, read_cohort, require_labels, with_labels
from kidneyseg.errors import InputError


def _touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize("parent", ["", "data/", "dataset/"])
def test_kits(tmp_path, parent):
    _touch(
        tmp_path,
        *(f"{parent}case_0000{i}/{f}.nii.gz" for i in (1, 0) for f in ("imaging", "segmentation")),
        f"{parent}case_00002/imaging.nii.gz",
        f"{parent}case_00003/segmentation.nii.gz",
        "kits.json",
        "README.md",
    )
    cases = find_cases(tmp_path)
    assert [(c.name, c.label is not None) for c in cases] == [
        ("case_00000", True),
        ("case_00001", True),
        ("case_00002", False),
    ]
    assert cases[1].image == tmp_path / parent / "case_00001/imaging.nii.gz"
    assert cases[1].label == tmp_path / parent / "case_00001/segmentation.nii.gz"


@pytest.mark.parametrize(
    "masks, taken",
    [
        (["aggregated_AND_seg", "aggregated_MAJ_seg", "aggregated_OR_seg"], "aggregated_MAJ_seg"),
        (["aggregated_AND_seg", "aggregated_OR_seg"], "aggregated_AND_seg"),
        (["Segmentation"], "Segmentation"),
    ],
)
def test_kits_as_published(tmp_path, masks, taken):
    """KiTS19's listing: 300 cases, masks of the first 210; KiTS21's names; and folders that are beside them."""
    _touch(
        tmp_path,
        *(f"case_{n:05d}/imaging.nii.gz" for n in range(300)),
        *(f"case_{n:05d}/{mask}.nii.gz" for n in range(210) for mask in masks),
        "case_00000/instances/kidney_instance-1_annotation-1.nii.gz",
        "notebooks/plot.ipynb",
    )
    cohort = read_cohort(tmp_path)
    assert len(cohort.cases) == 300 and cohort.leftovers == []
    labelled = with_labels(cohort.cases, tmp_path)
    assert len(labelled) == 210 and {case.label.name for case in labelled} == {f"{taken}.nii.gz"}


def test_letter_case_of_kits_names_does_not_matter(tmp_path):
    _touch(tmp_path, "case_00000/Imaging.NII.GZ", "case_00000/segmentation.nii.gz")
    assert [case.label is not None for case in find_cases(tmp_path)] == [True]


LEFT = [  # files, broken links, and what is left over
    (
        ["case_0/imaging.nii", "case_1/segmentation.nii.gz", "case_2/notes.txt"],
        [],
        {"case_1": "a mask only", "case_2": "none"},
    ),
    (["case_0/imaging.nii"], ["case_1/imaging.nii.gz"], {"case_1/imaging.nii.gz": "a broken link", "case_1": "none"}),
    (["case_0/imaging.nii", "case_0/imaging.nii.gz"], [], {"case_0/imaging.nii": "imaging.nii.gz as well"}),
    (["case_0/imaging.nii", "extra.nii.gz"], [], {"extra.nii.gz": "a file outside them"}),
    (["imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz"], [], {"labelsTr/b.nii.gz": "none"}),
    (["imagesTr/a_0000.nii.gz"], ["imagesTr/b_0000.nii.gz"], {"imagesTr/b_0000.nii.gz": "a broken link"}),
    (["images/a.nii", "labels/a_seg.nii", "labels/c.nii"], [], {"labels/c.nii": "none"}),
    (
        ["a.nii.gz", "a_seg.nii", "a_seg.nii.gz", "b_mask.nii.gz"],
        [],
        {"a_seg.nii": "a_seg.nii.gz as well", "b_mask.nii.gz": "none"},
    ),
]


@pytest.mark.parametrize("files, links, left", LEFT, ids=[" ".join(left) for *_, left in LEFT])
def test_what_is_left_over_is_told(tmp_path, files, links, left):
    _touch(tmp_path, *files)
    for link in links:
        (tmp_path / link).parent.mkdir(exist_ok=True)
        (tmp_path / link).symlink_to("nowhere")
    cohort = read_cohort(tmp_path)
    assert {str(one.path.relative_to(tmp_path)): one.found for one in cohort.leftovers} == left
    assert len(cohort.cases) == 1 and all(one.expected and one.remedy for one in cohort.leftovers)


def test_nnunet_raw(tmp_path):
    _touch(
        tmp_path,
        "dataset.json",
        "imagesTr/KiTS_0001_0000.nii.gz",
        "imagesTr/KiTS_0002_0000.nii.gz",
        "labelsTr/KiTS_0001.nii.gz",
        "imagesTs/KiTS_0009_0000.nii.gz",
    )
    first, second = find_cases(tmp_path)
    assert (first.name, first.label) == ("KiTS_0001", tmp_path / "labelsTr/KiTS_0001.nii.gz")
    assert (second.name, second.label) == ("KiTS_0002", None)


def test_two_folders(tmp_path):
    _touch(tmp_path, "images/a.nii", "images/b.mha", "labels/a.nii.gz", "labels/b_seg.nii.gz")
    assert [(c.name, c.label.name) for c in find_cases(tmp_path)] == [("a", "a.nii.gz"), ("b", "b_seg.nii.gz")]


@pytest.mark.parametrize("ending", ["_seg", "_mask", "_label", "-label", ".seg"])
def test_flat_pairs(tmp_path, ending):
    _touch(tmp_path, "p1.nii.gz", f"p1{ending}.nii.gz", "p2.nrrd", ".p3.nii.gz", "notes.txt")
    cases = find_cases(tmp_path)
    assert [(c.name, c.label and c.label.name) for c in cases] == [("p1", f"p1{ending}.nii.gz"), ("p2", None)]
    with pytest.raises(InputError, match="1 of 2 without: p2"):
        require_labels(cases, tmp_path)


def test_nothing_found_says_what_is_understood_and_what_was_seen(tmp_path):
    for prepare, words in [
        (lambda: None, "an empty folder"),
        (lambda: _touch(tmp_path, "scan.dcm", "sub/x.txt"), "scan.dcm, sub/"),
        (
            lambda: _touch(tmp_path, "case_00000/segmentation.nii.gz"),
            "1 case folders have a segmentation but no imaging",
        ),
    ]:
        prepare()
        with pytest.raises(InputError, match="imagesTr") as caught:
            find_cases(tmp_path)
        assert words in str(caught.value)
    with pytest.raises(InputError, match="no such folder"):
        find_cases(tmp_path / "none")
