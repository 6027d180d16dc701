"""Resampling of probabilities, slab by slab, from the network's grid to the grid of the mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.volume.grid import Grid, sample

PLANES = 16  # target planes interpolated at a time, which limits the memory on a fine grid


def resample_slabs(slabs: ProbabilitySlabs, source: Grid, target: Grid) -> ProbabilitySlabs:
    """Interpolate probabilities linearly from ``source`` to ``target``, in order of z.

    Outside ``source`` all classes are 0, which an argmax assigns to the background.

    Args:
        slabs: probabilities on ``source``.
        source: grid of the probabilities.
        target: grid of the result.

    Yields:
        (first plane of ``target``, probabilities (classes, planes, y, x)), each plane once, in order.
    """
    done, last = 0, None
    for first, slab in slabs:
        if last is not None:  # a target plane may lie between the last plane of one slab and the first of the next
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
    """Set all classes of ``slabs`` to 0 where ``inside``, (z, y, x) bool on the same voxels, is False."""
    for first, slab in slabs:
        yield first, slab * inside[first : first + slab.shape[1]]


def write_labels(mask: np.ndarray, slabs: ProbabilitySlabs, labels: Sequence[int]) -> None:
    """Write the label of the most probable class into ``mask``.

    Of several classes with the same probability the first is used. Voxels of class 0 are not changed.

    Args:
        mask: (z, y, x) uint8, changed in place.
        slabs: probabilities on the voxels of ``mask``.
        labels: label of each class, the background first.
    """
    for first, slab in slabs:
        part, best = mask[first : first + slab.shape[1]], slab[0]
        for label, probability in zip(labels[1:], slab[1:]):  # many times faster than NumPy's argmax over axis 0
            np.copyto(part, label, where=probability > best)
            best = np.maximum(best, probability)


def _planes_up_to(target: Grid, source: Grid, plane: int) -> int:
    """Count the planes of ``target`` whose centre is at or before the centre of ``plane`` of ``source``."""
    centre = source.origin[0] + plane * source.step[0]
    count = int(np.floor((centre - target.origin[0]) / target.step[0] + 1e-6)) + 1
    return min(max(count, 0), target.shape[0])
