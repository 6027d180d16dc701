"""Regions of one scan that overlap: where they do, the mean of their probabilities counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.inference.sliding import Slabs
from kidneyseg.volume.box import Box

Placed = tuple[Box, Slabs]
"""Where probabilities lie, and the probabilities on the voxels of that box, slab by slab."""


def merge_overlaps(parts: Sequence[Placed], classes: int) -> list[Placed]:
    """``parts`` with those that share voxels put together, so that no voxel is in two of them.

    Nothing is computed before its slabs are taken. A part that shares no voxel is passed on as it is. Of a group that
    does, the probabilities over the box around all of it are held: (classes + 1) floats per voxel.
    """
    merged = []
    for group in _groups(parts):
        hull = _hull([box for box, _ in group])
        merged.append((hull, group[0][1] if len(group) == 1 else _mean(group, hull, classes)))
    return merged


def _mean(parts: Sequence[Placed], hull: Box, classes: int) -> Slabs:
    """The mean over the parts that hold a voxel, on the voxels of ``hull``; 0 for all classes where none does."""
    shape = tuple(b.stop - b.start for b in hull)
    sums, counts = np.zeros((classes, *shape), np.float32), np.zeros(shape, np.float32)
    for box, slabs in parts:
        z, y, x = (slice(b.start - h.start, b.stop - h.start) for b, h in zip(box, hull))
        counts[z, y, x] += 1
        for first, slab in slabs:
            start = z.start + first
            sums[:, start:start + slab.shape[1], y, x] += slab
    for plane in range(shape[0]):
        yield plane, sums[:, plane:plane + 1] / np.maximum(counts[plane:plane + 1], 1)


def _groups(parts: Sequence[Placed]) -> list[list[Placed]]:
    """``parts`` in groups: the boxes around two groups share no voxel."""
    groups: list[list[Placed]] = []
    for part in parts:
        group = [part]
        while touched := [g for g in groups if _meet(_hull([b for b, _ in g]), _hull([b for b, _ in group]))]:
            groups = [g for g in groups if g not in touched]
            group = [member for g in touched for member in g] + group
        groups.append(group)
    return groups


def _meet(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other))


def _hull(boxes: Sequence[Box]) -> Box:
    return tuple(slice(min(b.start for b in axis), max(b.stop for b in axis)) for axis in zip(*boxes))
