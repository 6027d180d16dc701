"""Which slices of a case are worth a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kidneyseg.metrics.regions import KIDNEY_AND_MASSES, MASSES
from kidneyseg.volume.axes import PerAxis, per_axis

MASS_WEIGHT = 5  # a mass is smaller than a kidney and matters more
DISAGREEMENT_WEIGHT = 5


def informative_slices(masks: Mapping[str, np.ndarray], count: int) -> list[int]:
    """The ``count`` axial slices with most kidney, mass and disagreement between the masks, lowest first.

    Slices keep away from each other by a part of the kidneys' extent, so that they do not show the same thing.
    Fewer come back if the kidneys have fewer slices. If all masks are empty, the slices divide the scan evenly.

    Args:
        masks: (z, y, x) labels.
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
    """A (z, y, x) voxel to cut the three planes through: inside the masses, else the kidneys, else the volume."""
    for region in (MASSES, KIDNEY_AND_MASSES):
        voxels = np.argwhere(np.any([region.of(mask) for mask in masks.values()], axis=0))
        if len(voxels):
            distance = ((voxels - np.median(voxels, axis=0)) ** 2).sum(axis=1)
            return per_axis(int(v) for v in voxels[distance.argmin()])
    return per_axis(n // 2 for n in next(iter(masks.values())).shape)


def _worth(masks: list[np.ndarray]) -> np.ndarray:
    """One number per axial slice, 0 where no mask has anything."""
    worth = np.zeros(len(masks[0]))
    for mask in masks:
        worth += KIDNEY_AND_MASSES.of(mask).sum(axis=(1, 2)) + MASS_WEIGHT * MASSES.of(mask).sum(axis=(1, 2))
    for mask in masks[1:]:
        worth += DISAGREEMENT_WEIGHT * (mask != masks[0]).sum(axis=(1, 2))
    return worth
