"""Selection of the slices of a case for pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kidneyseg.metrics.regions import KIDNEY_AND_MASSES, MASSES
from kidneyseg.volume.axes import PerAxis, per_axis

MASS_WEIGHT = 5  # a mass is smaller than a kidney and more important
DISAGREEMENT_WEIGHT = 5


def informative_slices(masks: Mapping[str, np.ndarray], count: int) -> list[int]:
    """Select ``count`` axial slices with the most kidney, mass and disagreement between the masks, lowest first.

    There is a minimum distance between the slices, so that they do not show the same structures. If the kidneys have
    too few slices, fewer are returned. If all masks are empty, the slices divide the scan evenly.

    Args:
        masks: name -> (z, y, x) labels.
        count: number of slices.
    """
    worth = _worth(list(masks.values()))
    used = np.flatnonzero(worth)
    if used.size == 0:
        return sorted({len(worth) * (i + 1) // (count + 1) for i in range(count)})
    apart = max(1, (used[-1] - used[0] + 1) // (2 * count))
    chosen: list[int] = []
    while len(chosen) < count and worth.any():
        best = int(worth.argmax())
        chosen.append(best)
        worth[max(0, best - apart) : best + apart + 1] = 0
    return sorted(chosen)


def centre_of_interest(masks: Mapping[str, np.ndarray]) -> PerAxis[int]:
    """Return a (z, y, x) voxel for the three planes: in the masses, else the kidneys, else the volume's middle."""
    for region in (MASSES, KIDNEY_AND_MASSES):
        voxels = np.argwhere(np.any([region.of(mask) for mask in masks.values()], axis=0))
        if len(voxels):
            distance = ((voxels - np.median(voxels, axis=0)) ** 2).sum(axis=1)
            return per_axis(int(v) for v in voxels[distance.argmin()])
    return per_axis(n // 2 for n in next(iter(masks.values())).shape)


def _worth(masks: list[np.ndarray]) -> np.ndarray:
    """Rate each axial slice; 0 if all masks are empty there."""
    worth = np.zeros(len(masks[0]))
    for mask in masks:
        worth += KIDNEY_AND_MASSES.of(mask).sum(axis=(1, 2)) + MASS_WEIGHT * MASSES.of(mask).sum(axis=(1, 2))
    for mask in masks[1:]:
        worth += DISAGREEMENT_WEIGHT * (mask != masks[0]).sum(axis=(1, 2))
    return worth
