"""Pairing of the masks of two folders by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.volume.filenames import CHANNEL, MASK_ENDINGS, kits_masks, stem

PREFIX = "prediction_"  # KiTS19 submissions
SUBFOLDERS = ("labelsTr", "labels", "data", "dataset")


@dataclass(frozen=True)
class Pair:
    """Two masks of one case; ``prediction`` is None if there is none."""

    case: str
    prediction: Path | None
    truth: Path


@dataclass(frozen=True)
class Pairing:
    """The pairs of masks to compare.

    Attributes:
        pairs: one per true mask, sorted by name.
        without_truth: names of the predictions without true mask.
        rule: rule by which different names were paired; None if the names are the same.
    """

    pairs: list[Pair]
    without_truth: list[str]
    rule: str | None


def find_masks(folder: str | Path) -> dict[str, Path]:
    """Find the masks in a folder.

    Masks are in the case folders of KiTS, as ``CASE/segmentation.nii.gz`` or KiTS21's ``aggregated_MAJ_seg``; or they
    are called ``CASE.nii.gz``, ``prediction_CASE`` or ``CASE_seg`` (``_mask``, ``_label``, ``-label``, ``.seg``); if
    there are both ``CASE`` and ``CASE_seg``, ``CASE`` is the scan. If the folder has none, the sub-folders ``labelsTr``
    (nnU-Net), ``labels``, ``data`` and ``dataset`` (KiTS repositories) are searched.

    Returns:
        Case name -> mask.

    Raises:
        InputError: no such folder, no mask in it, or two masks of one case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            folder,
            expected="a folder of masks",
            found="a file" if folder.exists() else "no such folder",
            remedy="Check the path",
        )
    for place in (folder, *(folder / name for name in SUBFOLDERS)):
        masks = (_kits_masks(place) or _flat_masks(place)) if place.is_dir() else {}
        if masks:
            return masks
    raise InputError(
        folder,
        expected="masks as CASE.nii.gz, prediction_CASE.nii.gz or CASE/segmentation.nii.gz",
        found="none in it",
        remedy="Check the path, or rename the masks",
    )


def pair_masks(predictions: dict[str, Path], truth: dict[str, Path]) -> Pairing:
    """Pair masks of the same name.

    If no two names agree, ``_0000``, which nnU-Net appends to the names of scans, is removed. If still none agree, the
    names are paired by their numbers, if both folders number their cases: each name has one number, and the rest of the
    name is the same in the whole folder, as in ``prediction_00012`` and ``case_00012``. The caller should show such
    pairs to the user.

    Raises:
        InputError: there is no pair.
    """
    for rule, key in ((None, _names), (f"without {CHANNEL}", _names_without_channel), ("by number", _numbers)):
        predicted, true = key(predictions), key(truth)
        partner = {true[one]: predicted[one] for one in true if one in predicted}
        if partner:
            pairs = [Pair(name, predictions.get(partner.get(name, "")), truth[name]) for name in sorted(truth)]
            return Pairing(pairs, sorted(set(predictions) - set(partner.values())), rule)
    raise InputError(
        next(iter(predictions.values())).parent,
        expected=f"predictions named like the truth ({', '.join(list(truth)[:3])} ...)",
        found=f"{', '.join(list(predictions)[:3])} ...",
        remedy="Rename the predictions after their cases",
    )


def _names(masks: Iterable[str]) -> dict[str, str]:
    return {name: name for name in masks}


def _names_without_channel(masks: Iterable[str]) -> dict[str, str]:
    return _unambiguous([(name.removesuffix(CHANNEL), name) for name in masks])


def _numbers(masks: Iterable[str]) -> dict[str, str]:
    """Return number -> name, if each name has one number and the rest of all names is the same; otherwise empty."""
    names = list(masks)
    parts = [part for name in names if (part := re.fullmatch(r"(\D*)(\d+)(\D*)", name))]
    if len(parts) < len(names) or len({part.group(1, 3) for part in parts}) > 1:
        return {}
    return _unambiguous([(str(int(part[2])), name) for part, name in zip(parts, names)])


def _unambiguous(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return key -> name; empty if two names have the same key."""
    by_key = dict(named)
    return by_key if len(by_key) == len(named) else {}


def _kits_masks(folder: Path) -> dict[str, Path]:
    return _unique([(sub.name, path) for sub in sorted(folder.iterdir()) if sub.is_dir() for path in kits_masks(sub)])


def _flat_masks(folder: Path) -> dict[str, Path]:
    files = {path: name for path in sorted(folder.iterdir()) if path.is_file() and (name := stem(path))}
    names = set(files.values())
    scans = {name for name in names if any(name + ending in names for ending in MASK_ENDINGS)}
    return _unique([(_case_name(name), path) for path, name in files.items() if name not in scans])


def _case_name(name: str) -> str:
    name = name.removeprefix(PREFIX)
    for ending in MASK_ENDINGS:
        name = name.removesuffix(ending)
    return name


def _unique(found: list[tuple[str, Path]]) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for name, path in found:
        if name in masks:
            raise InputError(
                path,
                expected="one mask per case",
                found=f"{masks[name].name} for {name} as well",
                remedy="Move one of them away",
            )
        masks[name] = path
    return masks
