"""Boxes of voxels: one slice with start and stop per axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Box = tuple[slice, ...]


def bounding_box(mask: np.ndarray) -> Box:
    """Compute the smallest box with all non-zero voxels of ``mask``, of any shape; it is empty if all are 0."""
    box = []
    for axis in range(mask.ndim):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
        mask = mask[(slice(None),) * axis + (box[-1],)]  # the next axes need only the part inside
    return tuple(box)


def widen(box: Box, shape: Sequence[int], margin: int, least: int = 0) -> Box:
    """Add ``margin`` voxels on every side of ``box``, then extend its axes to at least ``least`` voxels.

    The margin is clipped to a volume of ``shape``. An axis that is still too short is extended equally at both ends, or
    more at one end if the other is at the border of the volume. It is shorter than ``least`` only if the volume is.
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
