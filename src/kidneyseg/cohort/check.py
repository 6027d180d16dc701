"""Check of a data set: reads every case and lists all faults, before hours are spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.layouts import Leftover
from kidneyseg.errors import InputError
from kidneyseg.system.worker_pool import try_cases
from kidneyseg.volume.nifti import Scan, read_image, read_mask

KIDNEY = 1


@dataclass(frozen=True)
class Fault:
    """One fault of one file."""

    case: str
    file: str
    expected: str
    found: str
    remedy: str


def check_cohort(cases: Sequence[Case], labels: Sequence[int] = (1, 2), *, workers: int = 1) -> list[Fault]:
    """List all faults of all cases, in the order of ``cases``; an empty list means that the data set can be used.

    Checked are: files that cannot be read (damaged, not NIfTI, 4-D, without a usable affine), NaN and infinite values,
    all checks of :mod:`kidneyseg.volume.plausibility` (spacing, size, sform against qform, HU, repeated slices), a
    missing mask, mask and scan of different shape or more than half a voxel apart, labels other than 0 and ``labels``,
    no kidney (label 1), two cases with the same name. A missing mask is a fault only if no case has a mask.
    """
    wants_mask = all(case.label is None for case in cases)
    found = try_cases(
        partial(check_case, labels=tuple(labels), wants_mask=wants_mask),
        cases,
        [case.name for case in cases],
        workers=workers,
        title="check",
    )
    twice = Counter(case.name for case in cases)
    return [
        fault
        for case, faults in zip(cases, found)
        for fault in (
            ([_duplicate(case, twice[case.name])] if twice[case.name] > 1 else [])
            + ([_failure(case, faults)] if isinstance(faults, InputError) else faults)
        )
    ]


def leftover_faults(leftovers: Sequence[Leftover]) -> list[Fault]:
    """Make a fault of each file and folder that belongs to no case."""
    return [Fault("-", str(one.path), one.expected, one.found, one.remedy) for one in leftovers]


def check_case(case: Case, labels: Sequence[int] = (1, 2), wants_mask: bool = True) -> list[Fault]:
    """List all faults of one case; the mask is read even if the scan is broken.

    Args:
        case: the case.
        labels: allowed labels besides 0.
        wants_mask: whether a missing mask is a fault.
    """
    faults: list[Fault] = []
    scan = _read(read_image, case, case.image, faults)
    mask = None
    if case.label is None and wants_mask:
        faults.append(
            Fault(case.name, str(case.image), "a mask for the scan", "none", "Add the mask, or move the scan away")
        )
    elif case.label is not None:
        mask = _read(read_mask, case, case.label, faults)
    for volume in (scan, mask):
        faults += [_fault(case, doubt) for doubt in (volume.doubts if volume else ())]
    if mask is not None:
        faults += _label_faults(case, mask, labels)
    if scan is not None and mask is not None:
        found = mask.misplacement(scan)
        if found:
            faults.append(
                Fault(
                    case.name,
                    str(mask.path),
                    "the scan's shape and affine",
                    found,
                    "Give the mask that was drawn on this scan, or copy the scan's affine if that is correct",
                )
            )
    return faults


def _read(read: Callable[[Path], Scan], case: Case, path: Path, faults: list[Fault]) -> Scan | None:
    try:
        return read(path)
    except InputError as error:
        faults.append(_fault(case, error))
        return None


def _failure(case: Case, error: InputError) -> Fault:
    return Fault(case.name, str(case.image), error.expected, error.found, error.remedy)


def _fault(case: Case, error: InputError) -> Fault:
    return Fault(case.name, error.subject, error.expected, error.found, error.remedy)


def _duplicate(case: Case, count: int) -> Fault:
    return Fault(case.name, str(case.image), "one scan of this name", str(count), "Rename or remove the others")


def _label_faults(case: Case, mask: Scan, labels: Sequence[int]) -> list[Fault]:
    counts = np.bincount(mask.array.ravel(), minlength=256)
    faults = []
    unknown = [label for label in np.flatnonzero(counts).tolist() if label != 0 and label not in labels]
    if unknown:
        voxels = ", ".join(f"{label} ({counts[label]} voxels)" for label in unknown[:5])
        faults.append(
            Fault(
                case.name,
                str(mask.path),
                f"labels 0 and {', '.join(map(str, labels))}",
                voxels,
                "Pass --labels if they are meant (KiTS21 and KiTS23 have 3, cyst), else correct the mask",
            )
        )
    if not counts[KIDNEY]:
        faults.append(
            Fault(
                case.name,
                str(mask.path),
                f"kidney voxels (label {KIDNEY})",
                "none",
                "Leave the case out, or give its labels the numbers of KiTS",
            )
        )
    return faults
