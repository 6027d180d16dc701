"""Boxes of voxels: one slice with start and stop per axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Box = tuple[slice, ...]


def bounding_box(mask: np.ndarray) -> Box:
    """The smallest box that holds every voxel of ``mask`` that is not 0, of no voxels if all are; any shape."""
    box = []
    for axis in range(mask.ndim):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
        mask = mask[(slice(None),) * axis + (box[-1],)]  # what lies outside is not looked at again
    return tuple(box)


def widen(box: Box, shape: Sequence[int], margin: int, least: int = 0) -> Box:
    """``box`` with ``margin`` voxels more on every side, then with sides of at least ``least`` voxels.

    The margin is cut off where it leaves a volume of ``shape``. A side that is still too short grows both ways alike,
    or to one side where the other is at the volume's border: it is shorter than ``least`` only if the volume is.
    """
    return tuple(_widen(part, n, margin, least) for part, n in zip(box, shape))


def _widen(part: slice, length: int, margin: int, least: int) -> slice:
    start, stop = max(0, part.start - margin), min(length, part.stop + margin)
    wanted = min(least, length)
    missing = wanted - (stop - start)
    if missing > 0:
        start = min(max(0, start - missing // 2), length - wanted)
        stop = start + wanted
    return slice(start, stop)
