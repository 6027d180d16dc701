"""Finds the scans that a user names as files and folders, without masks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.errors import InputError, shortened
from kidneyseg.volume.filenames import CHANNEL, KITS_IMAGE, KITS_MASKS, MASK_ENDINGS, stem


def find_scans(inputs: Sequence[Path]) -> list[Case]:
    """Find the scans in files and folders, in the given order.

    The case of a file ``case_00000/imaging.nii.gz`` has the name of its folder. ``_0000`` is removed from the name if
    all scans in the folder end with it, as in nnU-Net, and there are no masks. If several files are given, those with
    the name of a mask are left out, as in folders.

    Raises:
        InputError: a folder without scans, only masks, or two scans with the same name.
    """
    files = [path for path in inputs if not path.is_dir()]
    masks = {path for path in files if _is_mask(path)} if len(files) > 1 else set()
    if masks:
        print(f"masks among the scans, left out: {shortened([str(path) for path in sorted(masks)])}", file=sys.stderr)
    found: dict[str, Case] = {}
    for path in inputs:
        for case in _scans_of(path) if path not in masks else ():
            other = found.setdefault(case.name, case)
            if other.image != case.image:
                raise InputError(
                    case.image,
                    expected="scans of different names",
                    found=f"{case.name!r} at {other.image} as well",
                    remedy="Predict them into different folders, one after the other",
                )
    if not found:
        raise InputError(
            files[0],
            expected="scans",
            found="only masks, according to their names",
            remedy="Give the scans, or rename them",
        )
    return list(found.values())


def _is_mask(path: Path) -> bool:
    name = stem(path) or ""
    return name.endswith(MASK_ENDINGS) or name.lower() in KITS_MASKS


def _scans_of(path: Path) -> list[Case]:
    if not path.is_dir():
        name = stem(path) or path.name
        if all(other.endswith(CHANNEL) for file in path.parent.glob("*") if (other := stem(file))):
            name = name.removesuffix(CHANNEL)
        return [Case(path.resolve().parent.name if name.lower() == KITS_IMAGE else name, path, None)]
    own = [file for file in sorted(path.iterdir()) if (stem(file) or "").lower() == KITS_IMAGE]  # one KiTS case
    if own:
        return [Case(path.resolve().name, own[0], None)]
    cases = find_cases(path)
    stems = [stem(case.image) or case.image.name for case in cases]
    numbered = all(case.label is None and name.endswith(CHANNEL) for case, name in zip(cases, stems))
    return [
        Case(name.removesuffix(CHANNEL) if numbered else case.name, case.image, None)
        for case, name in zip(cases, stems)
    ]
