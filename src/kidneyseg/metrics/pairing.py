"""Which mask of one folder belongs to which of another."""

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
    """What is to be compared.

    Attributes:
        pairs: one per case of the truth, sorted by name.
        without_truth: names of the predictions left over.
        rule: why names that differ are taken for one; None where they are the same.
    """

    pairs: list[Pair]
    without_truth: list[str]
    rule: str | None


def find_masks(folder: str | Path) -> dict[str, Path]:
    """The masks of a folder by case name.

    Found are those in the case folders of KiTS, ``CASE/segmentation.nii.gz`` or KiTS21's ``aggregated_MAJ_seg``; else
    ``CASE.nii.gz``, also as ``prediction_CASE`` or ``CASE_seg`` (``_mask``, ``_label``, ``-label``, ``.seg``), where a
    plain ``CASE`` beside a ``CASE_seg`` is the scan. If there are none, they are looked for in ``labelsTr`` (nnU-Net),
    ``labels``, ``data`` and ``dataset`` (KiTS repositories).

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

    If no two names agree, ``_0000``, with which nnU-Net ends the names of scans, is not counted. If still none agree,
    names pair by their number where both folders number their cases: each name has one number, and all else in the
    names of a folder is the same, as in ``prediction_00012`` and ``case_00012``. Whoever calls should show such pairs.

    Raises:
        InputError: not a single pair.
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
    """Names by the only number in them; none where they differ in anything else."""
    names = list(masks)
    parts = [part for name in names if (part := re.fullmatch(r"(\D*)(\d+)(\D*)", name))]
    if len(parts) < len(names) or len({part.group(1, 3) for part in parts}) > 1:
        return {}
    return _unambiguous([(str(int(part[2])), name) for part, name in zip(parts, names)])


def _unambiguous(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Names by key; none at all where two have the same key."""
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
