"""nnU-Net's planner: computes voxel spacing, patch size and network from spacings and shapes of the training cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kidneyseg.errors import InputError
from kidneyseg.volume.axes import PerAxis, per_axis

Triple = PerAxis[int]

ANISOTROPIC = 3  # an axis whose voxels are this many times longer than the others is treated separately
SMALLEST_EDGE = 4  # voxels of the lowest resolution
LARGEST_PATCH = 256**3  # voxels, start of the search for a patch
COVERED = 0.25  # fraction of the median scan that a patch should cover; otherwise the spacing is increased
COARSER = 1.03
MIN_LEVELS = 3  # minimum of DynUNet


@dataclass(frozen=True)
class Plan:
    """The plan. Axes are (z, y, x).

    Attributes:
        spacing: voxel spacing after resampling, mm.
        shape: voxels of the median training case at this spacing.
        patch: size of a patch, voxels.
        kernels, strides: kernels and strides of the convolutions per level, from the highest resolution to the lowest.
    """

    spacing: PerAxis[float]
    shape: Triple
    patch: Triple
    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]


def make_plan(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], patch_voxels: int) -> Plan:
    """Compute the plan for the training cases.

    It is nnU-Net's full-resolution plan. If a full-resolution patch would cover less than a quarter of the median case,
    it is nnU-Net's low-resolution plan, if that has at most half of the voxels per case.

    Args:
        spacings: mm, (z, y, x) of each case.
        shapes: voxels, (z, y, x) of each case.
        patch_voxels: maximum number of voxels in a patch.

    Raises:
        InputError: the scans are too small for a network of three levels.
    """
    full = np.array(_target_spacing(np.array(spacings, float), np.array(shapes)))
    shape = np.median([resampled_shape(one, mm, full.tolist()) for one, mm in zip(shapes, spacings)], axis=0)
    plan = fine = _plan_at(full, shape, patch_voxels)
    spacing, coarse_shape = full, shape
    while np.prod(plan.patch) < COVERED * np.prod(coarse_shape):
        finer = spacing.max() / spacing > 2  # these axes are made coarser first, until all are similar
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
    """Compute kernels and strides per level: an axis is halved while it is long enough and among the finest ones.

    A kernel is 1 along an axis as long as its voxels are at least twice as long as the shortest.
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
    """Return the shape of a scan of ``shape`` at ``spacing`` mm after resampling to ``target`` mm."""
    return [max(1, round(n * now / then)) for n, now, then in zip(shape, spacing, target)]


def anisotropic(lengths: Sequence[float]) -> bool:
    """Tell whether one of three lengths (spacings, or edges of a patch) is much longer than the shortest."""
    return max(lengths) > ANISOTROPIC * min(lengths)


def _target_spacing(spacings: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Return the median spacing; for an axis of few, long voxels the 10th percentile, but not below the other axes."""
    target, shape = np.median(spacings, axis=0), np.median(shapes, axis=0)
    worst = int(target.argmax())
    others = [axis for axis in range(3) if axis != worst]
    longest = target[others].max()
    if target[worst] > ANISOTROPIC * longest and shape[worst] * ANISOTROPIC < shape[others].min():
        target[worst] = max(np.percentile(spacings[:, worst], 10), longest)
    return target


def _plan_at(spacing: np.ndarray, shape: np.ndarray, patch_voxels: int) -> Plan:
    """Compute the plan at one spacing.

    The patch starts as a cube in mm, limited to the median case. Then the axis that covers the largest fraction of the
    case is shortened until the patch has at most ``patch_voxels``.
    """
    cube = np.rint(np.cbrt(LARGEST_PATCH * np.prod(spacing)) / spacing)
    patch = _divisible(spacing, np.minimum(cube, shape).astype(int))
    while np.prod(patch) > patch_voxels:
        axis = max(range(3), key=lambda a: (patch[a] / shape[a], a))
        smaller = patch.copy()  # may need fewer halvings, and thus a smaller step
        smaller[axis] -= _divisors(spacing, patch)[axis]
        patch[axis] -= _divisors(spacing, smaller)[axis]
        patch = _divisible(spacing, patch)
    kernels, strides = topology(spacing, patch)
    return Plan(per_axis(map(float, spacing)), _whole(shape), _whole(patch), tuple(kernels), tuple(strides))


def _divisors(spacing: np.ndarray, patch: np.ndarray) -> np.ndarray:
    return np.prod(topology(spacing, patch)[1], axis=0)


def _divisible(spacing: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Round ``patch`` up to a size that its network can halve evenly."""
    divisors = _divisors(spacing, patch)
    return -(-patch // divisors) * divisors


def _whole(values: np.ndarray) -> Triple:
    return per_axis(int(value) for value in values)
