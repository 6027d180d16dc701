"""Bringing probabilities that arrive slab by slab from the network's grid to the grid of the mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.volume.grid import Grid, sample

PLANES = 16  # target planes interpolated at a time, so that a fine grid does not need more memory than a coarse one


def resample_slabs(slabs: ProbabilitySlabs, source: Grid, target: Grid) -> ProbabilitySlabs:
    """Probabilities on ``source`` interpolated linearly at the voxels of ``target``, in order of z.

    Where ``target`` reaches outside ``source`` all classes are 0; an argmax calls that background.

    Yields:
        (first plane of ``target``, probabilities (classes, planes, y, x)), each plane once, in order.
    """
    done, last = 0, None
    for first, slab in slabs:
        if last is not None:  # targets between two slabs lie between the last plane of one and the first of the other
            first, slab = first - 1, np.concatenate([last, slab], axis=1)
        end = first + slab.shape[1]
        grid = source.crop((slice(first, end), slice(0, source.shape[1]), slice(0, source.shape[2])))
        ready = target.shape[0] if end == source.shape[0] else _planes_up_to(target, source, end - 1)
        for start in range(done, ready, PLANES):
            stop = min(start + PLANES, ready)
            part = target.crop((slice(start, stop), slice(0, target.shape[1]), slice(0, target.shape[2])))
            yield start, sample(slab, grid, part, order=1)
        done, last = max(done, ready), slab[:, -1:].copy()


def confine(slabs: ProbabilitySlabs, inside: np.ndarray) -> ProbabilitySlabs:
    """``slabs`` with all classes 0 where ``inside``, (z, y, x) bool on their voxels, does not hold."""
    for first, slab in slabs:
        yield first, slab * inside[first : first + slab.shape[1]]


def write_labels(mask: np.ndarray, slabs: ProbabilitySlabs, labels: Sequence[int]) -> None:
    """Write the label of the most probable class, of equals the first, into ``mask`` (z, y, x) uint8.

    Class 0 leaves a voxel as it is.

    Args:
        mask: changed in place.
        slabs: probabilities on the voxels of ``mask``.
        labels: label of each class, the background's first.
    """
    for first, slab in slabs:
        part, best = mask[first : first + slab.shape[1]], slab[0]
        for label, probability in zip(labels[1:], slab[1:]):  # many times faster than NumPy's argmax over axis 0
            np.copyto(part, label, where=probability > best)
            best = np.maximum(best, probability)


def _planes_up_to(target: Grid, source: Grid, plane: int) -> int:
    """How many planes of ``target`` have their centre at or before that of ``plane`` of ``source``."""
    centre = source.origin[0] + plane * source.step[0]
    count = int(np.floor((centre - target.origin[0]) / target.step[0] + 1e-6)) + 1
    return min(max(count, 0), target.shape[0])
