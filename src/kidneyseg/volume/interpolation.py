"""Values of an array at all points of an axis-aligned lattice: one axis after the other, which is all such a lattice
needs and several times less work than a general point in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PLANES = 8  # of the lattice at a time: floats are held of so many planes only, and these stay in the cache

Positions = Sequence[np.ndarray]
"""The lattice: per axis z, y, x its ascending points, in voxels of the array; the array's ends go on beyond it."""


class Neighbours(NamedTuple):
    """Along one axis, per point: the voxels below and above it, and the weight of the one above, 0 to 1."""

    below: np.ndarray
    above: np.ndarray
    weight: np.ndarray


def nearest(array: np.ndarray, positions: Positions, out: np.ndarray) -> None:
    """Write the value of the voxel closest to every point into ``out``; between two, that of the even one.

    Args:
        array: (..., z, y, x).
        out: (..., *points), dtype of ``array``.
    """
    axes = [np.clip(np.rint(points).astype(np.intp), 0, size - 1) for points, size in zip(positions, array.shape[-3:])]
    for axis in _cheapest_first(array.shape[-3:], positions):
        array = array.take(axes[axis], axis - 3)
    out[...] = array


def linear(array: np.ndarray, positions: Positions, out: np.ndarray) -> None:
    """Write the trilinear interpolation at every point into ``out``, rounded to the nearest integer if it has those.

    Sums are those of float32 (of float64 for wider numbers): up to 1e-6 of the values, the same as with
    `scipy.ndimage`, so that integers differ from it by 1 where the interpolation is as close to a half.

    Args:
        array: (..., z, y, x).
        out: (..., *points), dtype of ``array``.
    """
    dtype = np.result_type(array.dtype, np.float32)
    axes = [_neighbours(points, size, dtype) for points, size in zip(positions, array.shape[-3:])]
    for start in range(0, len(positions[0]), PLANES):
        planes = slice(start, start + PLANES)
        part = [Neighbours(*(values[planes] for values in axes[0])), *axes[1:]]
        values = _interpolate(array, part, dtype)
        out[..., planes, :, :] = np.rint(values, values) if np.issubdtype(out.dtype, np.integer) else values


def _neighbours(points: np.ndarray, size: int, dtype: np.dtype) -> Neighbours:
    points = np.clip(points, 0, size - 1)
    below = points.astype(np.intp)
    return Neighbours(below, np.minimum(below + 1, size - 1), (points - below).astype(dtype))


def _interpolate(array: np.ndarray, axes: Sequence[Neighbours], dtype: np.dtype) -> np.ndarray:
    """Of the voxels that any point needs, one axis after the other."""
    first = [axis.below[0] for axis in axes]
    z, y, x = (slice(f, axis.above[-1] + 1) for f, axis in zip(first, axes))
    values = array[..., z, y, x].astype(dtype)
    for axis in _cheapest_first(values.shape[-3:], [axis.below for axis in axes]):
        below, above, weight = axes[axis]
        lower = values.take(below - first[axis], axis - 3)
        if weight.any():
            upper = values.take(above - first[axis], axis - 3)
            upper -= lower
            upper *= weight.reshape(-1, *(1,) * (2 - axis))
            lower += upper
        values = lower
    return values


def _cheapest_first(shape: Sequence[int], points: Sequence[np.ndarray]) -> list[int]:
    """The axes, those that shrink most or grow least first: what comes later then has less to do."""
    return sorted(range(3), key=lambda axis: len(points[axis]) / shape[axis])
