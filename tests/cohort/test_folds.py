"""Folds partition the cases, repeat with their seed, and spread tumour sizes evenly."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.folds import is_generated, load_splits, make_splits, save_splits, split_names, tumour_volumes
from kidneyseg.errors import InputError

VOLUMES = {f"case_{n:05d}": float(v) for n, v in enumerate(np.random.default_rng(0).lognormal(3, 1.5, 53))}


@pytest.mark.parametrize("folds", [2, 5, 7, 53])
def test_every_case_is_held_out_once(folds):
    splits = make_splits(VOLUMES, folds, seed=3)
    held_out = [name for fold in splits["folds"] for name in fold["val"]]
    assert sorted(held_out) == sorted(VOLUMES) and len(splits["folds"]) == folds
    sizes = [len(fold["val"]) for fold in splits["folds"]]
    assert max(sizes) - min(sizes) <= 1
    for fold in splits["folds"]:
        assert not set(fold["train"]) & set(fold["val"]) and len(fold["train"]) + len(fold["val"]) == len(VOLUMES)


def test_same_seed_same_folds_whatever_the_order_of_the_cases():
    backwards = dict(reversed(VOLUMES.items()))
    assert make_splits(VOLUMES, 5, 1) == make_splits(backwards, 5, 1) != make_splits(VOLUMES, 5, 2)


def test_each_fold_has_a_case_of_every_size():
    ranks = {name: rank for rank, name in enumerate(sorted(VOLUMES, key=VOLUMES.get))}
    for fold in make_splits(VOLUMES, 5, seed=9)["folds"]:
        blocks = sorted(ranks[name] // 5 for name in fold["val"])
        assert blocks[:10] == list(range(10))  # one from every block of five neighbours


@pytest.mark.parametrize("folds, words", [(1, "at least 2"), (54, "fewer folds"), (0, "at least 2")])
def test_impossible_folds(folds, words):
    with pytest.raises(InputError, match=words):
        make_splits(VOLUMES, folds)


def test_saved_and_loaded(tmp_path):
    splits = make_splits(VOLUMES)
    save_splits(splits, tmp_path / "work" / "splits.json")
    assert load_splits(tmp_path / "work" / "splits.json") == splits
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["splits.json"]


def test_dealt_folds_are_told_from_those_written_by_hand():
    splits = make_splits(VOLUMES, 3)
    one = splits | {"folds": splits["folds"][:1]}
    assert split_names(splits) == split_names(one) == sorted(VOLUMES)
    assert is_generated(splits) and not is_generated({"folds": splits["folds"]}) and not is_generated(one)


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "No such file"),
        ("{", "JSON"),
        ("[]", "no list of folds"),
        ('{"folds": [{"train": ["a"]}]}', "fold 0 without"),
        (json.dumps({"folds": [{"train": ["a", "b"], "val": ["b"]}]}), "b in train and val of fold 0"),
        (json.dumps({"seed": "x", "folds": [{"train": ["a"], "val": ["b"]}]}), "seed 'x'"),
    ],
)
def test_broken_files(tmp_path, text, words):
    path = tmp_path / "splits.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_splits(path)
    assert str(path) in str(caught.value)


def test_tumour_volumes_are_in_ml(tmp_path):
    mask = np.zeros((5, 6, 7), np.uint8)
    mask[1:3, 1:3, 1:3], mask[4] = 2, 1
    nib.save(nib.Nifti1Image(mask, np.diag([2, 5, 10, 1])), tmp_path / "m.nii.gz")
    case = Case("a", tmp_path / "i.nii.gz", tmp_path / "m.nii.gz")
    assert tumour_volumes([case]) == {"a": pytest.approx(8 * 100 / 1000)}
    assert tumour_volumes([case], {1: 2}) == {"a": pytest.approx((8 + 42) * 100 / 1000)}
