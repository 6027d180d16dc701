"""nnU-Net's planner: voxel spacing, patch size and network from the spacings and shapes of the training cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kidneyseg.errors import InputError
from kidneyseg.volume.axes import PerAxis, per_axis

Triple = PerAxis[int]

ANISOTROPIC = 3  # an axis with voxels so many times as long as the others is treated on its own
SMALLEST_EDGE = 4  # voxels of the lowest resolution
LARGEST_PATCH = 256**3  # voxels, where the search for a patch begins
COVERED = 0.25  # share of the median scan that a patch should hold; with less, spacing grows
COARSER = 1.03
MIN_LEVELS = 3  # of DynUNet


@dataclass(frozen=True)
class Plan:
    """Axes are (z, y, x).

    Attributes:
        spacing: mm of the voxels that the network sees.
        shape: voxels of the median training case at that spacing.
        patch: voxels that the network sees at a time.
        kernels, strides: of the convolutions per level, from the highest resolution to the lowest.
    """

    spacing: PerAxis[float]
    shape: Triple
    patch: Triple
    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]


def make_plan(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], patch_voxels: int) -> Plan:
    """The plan for training cases of these spacings (mm) and shapes (voxels), (z, y, x) each.

    It is nnU-Net's plan at full resolution; its plan at low resolution, where a full-resolution patch would hold less
    than a quarter of the median case, and where that makes the case at most half as large.

    Args:
        patch_voxels: the most voxels of a patch.

    Raises:
        InputError: the scans are too small for a network of three levels.
    """
    full = np.array(_target_spacing(np.array(spacings, float), np.array(shapes)))
    shape = np.median([resampled_shape(one, mm, full.tolist()) for one, mm in zip(shapes, spacings)], axis=0)
    plan = fine = _plan_at(full, shape, patch_voxels)
    spacing, coarse_shape = full, shape
    while np.prod(plan.patch) < COVERED * np.prod(coarse_shape):
        finer = spacing.max() / spacing > 2  # these axes first, until all are similar
        spacing = spacing * np.where(finer if finer.any() else True, COARSER, 1)
        coarse_shape = full / spacing * shape
        plan = _plan_at(spacing, np.rint(coarse_shape), patch_voxels)
    if np.prod(shape) < 2 * np.prod(coarse_shape):
        plan = fine
    if len(plan.strides) < MIN_LEVELS:
        raise InputError(
            "benchmark train",
            expected=f"scans of {4 * SMALLEST_EDGE} voxels or more along two axes",
            found=f"a median of {plan.shape} (z, y, x) and patches of {plan.patch}",
            remedy="Train on larger scans, or allow larger patches",
        )
    return plan


def topology(spacing: ArrayLike, patch: ArrayLike) -> tuple[list[Triple], list[Triple]]:
    """Kernels and strides per level: axes are halved while they are long enough and among the finest ones.

    A kernel is 1 along an axis until its voxels are less than twice as long as the shortest.
    """
    mm, size, kernel = np.array(spacing, float), np.array(patch), np.ones(3, int)
    kernels: list[Triple] = []
    strides: list[Triple] = [(1, 1, 1)]
    while True:
        axes = size >= 2 * SMALLEST_EDGE
        axes &= mm < 2 * mm[axes].min(initial=np.inf)
        if not axes.any() or axes.sum() == 1 and size[axes][0] < 3 * SMALLEST_EDGE:
            return [*kernels, (3, 3, 3)], strides
        kernel[mm < 2 * mm.min()] = 3
        stride = np.where(axes, 2, 1)
        mm, size = mm * stride, -(-size // stride)
        kernels.append(_whole(kernel))
        strides.append(_whole(stride))


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]) -> list[int]:
    """Voxels of a scan of ``shape`` at ``spacing`` mm when it is brought to ``target`` mm."""
    return [max(1, round(n * now / then)) for n, now, then in zip(shape, spacing, target)]


def anisotropic(lengths: Sequence[float]) -> bool:
    """Whether one of three lengths (spacings, or edges of a patch) is much longer than the shortest."""
    return max(lengths) > ANISOTROPIC * min(lengths)


def _target_spacing(spacings: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """The median; but along an axis of few, long voxels the 10th percentile, and not below the other axes."""
    target, shape = np.median(spacings, axis=0), np.median(shapes, axis=0)
    worst = int(target.argmax())
    others = [axis for axis in range(3) if axis != worst]
    longest = target[others].max()
    if target[worst] > ANISOTROPIC * longest and shape[worst] * ANISOTROPIC < shape[others].min():
        target[worst] = max(np.percentile(spacings[:, worst], 10), longest)
    return target


def _plan_at(spacing: np.ndarray, shape: np.ndarray, patch_voxels: int) -> Plan:
    """A patch of the proportions of a cube in mm, at most the median case; then the axis that holds most of the case
    is cut until ``patch_voxels`` are not exceeded."""
    cube = np.rint(np.cbrt(LARGEST_PATCH * np.prod(spacing)) / spacing)
    patch = _divisible(spacing, np.minimum(cube, shape).astype(int))
    while np.prod(patch) > patch_voxels:
        axis = max(range(3), key=lambda a: (patch[a] / shape[a], a))
        smaller = patch.copy()  # may need fewer halvings, so that less has to be cut
        smaller[axis] -= _divisors(spacing, patch)[axis]
        patch[axis] -= _divisors(spacing, smaller)[axis]
        patch = _divisible(spacing, patch)
    kernels, strides = topology(spacing, patch)
    return Plan(per_axis(map(float, spacing)), _whole(shape), _whole(patch), tuple(kernels), tuple(strides))


def _divisors(spacing: np.ndarray, patch: np.ndarray) -> np.ndarray:
    return np.prod(topology(spacing, patch)[1], axis=0)


def _divisible(spacing: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """``patch``, raised to what its network can halve evenly."""
    divisors = _divisors(spacing, patch)
    return -(-patch // divisors) * divisors


def _whole(values: np.ndarray) -> Triple:
    return per_axis(int(value) for value in values)
