"""Fingerprint of a data set: spacing, size, intensities and label volumes, per case and of all cases.

Intensities are counted in histograms with bins of 1 HU, so the percentiles of a data set are those of all its voxels
together. *Body* is every voxel above -500 HU (tissue, not air or lung); *kidney* is every voxel of the mask (kidney,
tumour, cyst).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from nibabel.orientations import aff2axcodes

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.system.worker_pool import require_all, try_cases
from kidneyseg.volume.axes import PerAxis, per_axis
from kidneyseg.volume.nifti import Scan, read_image, read_mask

HU_LOW, HU_HIGH = -1024, 3071
BODY_ABOVE = -500
PERCENTILES = (0.5, 5, 50, 95, 99.5)


@dataclass(frozen=True)
class CaseStatistics:
    """Statistics of one case.

    ``histograms`` has the number of voxels per HU from ``HU_LOW`` to ``HU_HIGH``; values outside count at the ends.
    """

    name: str
    shape: PerAxis[int]
    spacing: PerAxis[float]
    orientation: str
    histograms: dict[str, np.ndarray]
    labels: dict[int, dict]

    def to_dict(self) -> dict:
        """Return the statistics as JSON types."""
        return {
            "case": self.name,
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing),
            "orientation": self.orientation,
            "hu": {part: describe(counts) for part, counts in self.histograms.items()},
            "labels": self.labels,
        }


def fingerprint(cases: Sequence[Case], *, workers: int = 1) -> dict:
    """Compute the statistics of a data set, as JSON types; cases that cannot be read are listed and left out.

    Returns:
        {"cases": [CaseStatistics.to_dict()], "summary": {"cases": count, "spacing_mm", "shape", "extent_mm": {"min",
        "median", "max"}, (z, y, x) each; "orientations": {axis codes: cases}, "hu": {"body", "kidney": as
        :func:`describe`}, "labels": {label: {"cases", "ml": {"min", "median", "max"}, "components"}}},
        "failed": {case: reason}}.

    Raises:
        InputError: there is no case whose two files can be read and belong together.
    """
    names = [case.name for case in cases]
    outcomes = try_cases(case_statistics, cases, names, workers=workers, title="fingerprint")
    failures = {name: one for name, one in zip(names, outcomes) if isinstance(one, InputError)}
    rows = [one for one in outcomes if not isinstance(one, InputError)]
    if not rows:
        require_all(failures, len(cases))
    return {
        "cases": [row.to_dict() for row in rows],
        "summary": _summary(rows),
        "failed": {name: str(error) for name, error in failures.items()},
    }


def case_statistics(case: Case) -> CaseStatistics:
    """Compute the statistics of one case; without a mask there are no "kidney" intensities and labels.

    Raises:
        InputError: a file cannot be read, or scan and mask do not belong together.
    """
    scan = read_image(case.image)
    histograms = {"body": _histogram(scan.array, scan.array > BODY_ABOVE)}
    labels: dict[int, dict] = {}
    if case.label is not None:
        mask = read_mask(case.label)
        mask.require_on(scan)
        histograms["kidney"] = _histogram(scan.array, mask.array > 0)
        labels = {int(label): _label(mask, label) for label in np.unique(mask.array) if label}
    orientation = "".join(aff2axcodes(scan.header.get_best_affine()))
    return CaseStatistics(case.name, per_axis(scan.array.shape), scan.spacing, orientation, histograms, labels)


def describe(counts: np.ndarray) -> dict[str, float] | None:
    """Compute mean, SD and percentiles (keys "p0.5" ... "p99.5") in HU of a histogram; None if it is empty."""
    total = int(counts.sum())
    if not total:
        return None
    hu = np.arange(HU_LOW, HU_HIGH + 1)
    mean = float((counts * hu).sum() / total)
    variance = float((counts * (hu - mean) ** 2).sum() / total)
    ranks = np.searchsorted(counts.cumsum(), [q / 100 * total for q in PERCENTILES])
    return {"mean": mean, "sd": variance**0.5, **{f"p{q:g}": int(hu[rank]) for q, rank in zip(PERCENTILES, ranks)}}


def _histogram(array: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Count the HU of ``array`` (z, y, x) inside ``where``; slice by slice, because integer copies are large."""
    counts = np.zeros(HU_HIGH - HU_LOW + 1, np.int64)
    for plane, chosen in zip(array, where):
        whole = np.clip(np.rint(plane[chosen]), HU_LOW, HU_HIGH).astype(np.int64)
        counts += np.bincount(whole - HU_LOW, minlength=counts.size)
    return counts


def _label(mask: Scan, label: int) -> dict:
    part = mask.array == label
    _, components = cc3d.connected_components(part, connectivity=26, return_N=True)
    return {"ml": float(part.sum() * mask.voxel_ml), "components": int(components)}


def _summary(rows: Sequence[CaseStatistics]) -> dict:
    extents = [np.multiply(row.shape, row.spacing) for row in rows]
    parts = {part for row in rows for part in row.histograms}
    labels = sorted({label for row in rows for label in row.labels})
    orientations = [row.orientation for row in rows]
    return {
        "cases": len(rows),
        "spacing_mm": _spread([row.spacing for row in rows]),
        "shape": _spread([row.shape for row in rows]),
        "extent_mm": _spread(extents),
        "orientations": {name: orientations.count(name) for name in sorted(set(orientations))},
        "hu": {
            part: describe(np.sum([row.histograms[part] for row in rows if part in row.histograms], axis=0))
            for part in sorted(parts)
        },
        "labels": {
            label: _label_summary([row.labels[label] for row in rows if label in row.labels]) for label in labels
        },
    }


def _label_summary(found: Sequence[dict]) -> dict:
    return {
        "cases": len(found),
        "components": sum(one["components"] for one in found),
        "ml": _spread([one["ml"] for one in found]),
    }


def _spread(values: Sequence) -> dict:
    return {name: getattr(np, name)(values, axis=0).tolist() for name in ("min", "median", "max")}
