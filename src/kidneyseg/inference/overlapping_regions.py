"""Overlapping regions of one scan: their probabilities are averaged in the overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.volume.box import Box

Placed = tuple[Box, ProbabilitySlabs]
"""A box, and the probabilities on its voxels, slab by slab."""


def merge_overlaps(parts: Sequence[Placed], classes: int) -> list[Placed]:
    """Merge the ``parts`` that overlap, so that no voxel is in two parts.

    Slabs are computed only when they are read. A part without overlap is returned unchanged. Overlapping parts are
    computed in parallel along z, so that only the current slab of each part is in memory.

    Args:
        parts: boxes with their probabilities.
        classes: number of classes, the background included.
    """
    merged = []
    for group in _groups(parts):
        hull = _hull([box for box, _ in group])
        merged.append((hull, group[0][1] if len(group) == 1 else _mean(group, hull, classes)))
    return merged


def _mean(parts: Sequence[Placed], hull: Box, classes: int) -> ProbabilitySlabs:
    """Average the parts that contain a voxel, on the voxels of ``hull``; voxels in no part are 0 in all classes."""
    depth, *size = (side.stop - side.start for side in hull)
    streams = [
        ([slice(b.start - h.start, b.stop - h.start) for b, h in zip(box, hull)], _planes(slabs))
        for box, slabs in parts
    ]
    for plane in range(depth):
        sums, count = np.zeros((classes, *size), np.float32), np.zeros(size, np.float32)
        for (z, y, x), planes in streams:
            if z.start <= plane < z.stop:
                sums[:, y, x] += next(planes)
                count[y, x] += 1
        yield plane, (sums / np.maximum(count, 1))[:, None]


def _planes(slabs: ProbabilitySlabs) -> Iterator[np.ndarray]:
    """Yield the planes of ``slabs``, (classes, y, x) each."""
    for _, slab in slabs:
        yield from np.moveaxis(slab, 1, 0)


def _groups(parts: Sequence[Placed]) -> list[list[Placed]]:
    """Split ``parts`` into groups whose bounding boxes do not overlap."""
    groups: list[list[Placed]] = []
    for part in parts:
        group = [part]
        while touched := [g for g in groups if _meet(_hull([b for b, _ in g]), _hull([b for b, _ in group]))]:
            groups = [g for g in groups if g not in touched]
            group = [member for g in touched for member in g] + group
        groups.append(group)
    return groups


def _meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes overlap."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other))


def _hull(boxes: Sequence[Box]) -> Box:
    """Return the bounding box of ``boxes``."""
    return tuple(slice(min(b.start for b in axis), max(b.stop for b in axis)) for axis in zip(*boxes))
