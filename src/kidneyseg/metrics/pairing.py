"""Which mask of one folder belongs to which of another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.volume.names import MASK_ENDINGS, stem

PREFIX = "prediction_"  # KiTS19 submissions
SUBFOLDERS = ("labelsTr", "labels", "data", "dataset")


@dataclass(frozen=True)
class Pair:
    """Two masks of one case; ``prediction`` is None if there is none."""

    case: str
    prediction: Path | None
    truth: Path


def find_masks(folder: str | Path) -> dict[str, Path]:
    """The masks of a folder by case name.

    Found are ``CASE/segmentation.nii.gz`` (KiTS); else ``CASE.nii.gz``, also as ``prediction_CASE`` or ``CASE_seg``
    (``_mask``, ``_label``, ``-label``), where a plain ``CASE`` beside a ``CASE_seg`` is the scan. If there are none,
    they are looked for in ``labelsTr`` (nnU-Net), ``labels``, ``data`` and ``dataset`` (KiTS repositories).

    Raises:
        InputError: no such folder, no mask in it, or two masks of one case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder, expected="a folder of masks", found="a file" if folder.exists() else "no such folder",
                         remedy="Check the path")
    for place in (folder, *(folder / name for name in SUBFOLDERS)):
        masks = _kits_masks(place) or _flat_masks(place)
        if masks:
            return masks
    raise InputError(
        folder, expected="masks as CASE.nii.gz, prediction_CASE.nii.gz or CASE/segmentation.nii.gz",
        found="none in it", remedy="Check the path, or rename the masks",
    )


def pair_masks(predictions: dict[str, Path], truth: dict[str, Path]) -> tuple[list[Pair], list[str]]:
    """Pair masks of the same name; if no two names agree, masks whose names end in the same number.

    Returns:
        One pair per case of ``truth``, sorted by name, and the names of the predictions left over.

    Raises:
        InputError: not a single pair, or two masks of one folder have the same number.
    """
    partner = {name: name for name in truth if name in predictions}
    if not partner:
        numbers = _by_number(predictions)
        partner = {name: numbers[n] for n, name in _by_number(truth).items() if n in numbers}
    if not partner:
        raise InputError(
            next(iter(predictions.values())).parent,
            expected=f"predictions named like the truth ({', '.join(list(truth)[:3])} ...)",
            found=f"{', '.join(list(predictions)[:3])} ...", remedy="Rename the predictions after their cases",
        )
    pairs = [Pair(name, predictions.get(partner.get(name, "")), truth[name]) for name in sorted(truth)]
    return pairs, sorted(set(predictions) - set(partner.values()))


def _kits_masks(folder: Path) -> dict[str, Path]:
    found = [(path.parent.name, path) for path in folder.glob("*/segmentation.*") if stem(path) == "segmentation"]
    return _unique(found)


def _flat_masks(folder: Path) -> dict[str, Path]:
    files = {path: name for path in sorted(folder.glob("*")) if path.is_file() and (name := stem(path))}
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
            raise InputError(path, expected="one mask per case", found=f"{masks[name].name} for {name} as well",
                             remedy="Move one of them away")
        masks[name] = path
    return masks


def _by_number(masks: dict[str, Path]) -> dict[int, str]:
    """Names by the last number in them; names without one are left out."""
    names: dict[int, str] = {}
    for name, path in masks.items():
        match = re.search(r"(\d+)\D*$", name)
        if match is None:
            continue
        other = names.setdefault(int(match[1]), name)
        if other != name:
            raise InputError(path, expected="predictions named like the truth, or one mask per case number",
                             found=f"number {int(match[1])} in {other} as well", remedy="Name masks after their cases")
    return names
