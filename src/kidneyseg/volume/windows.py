"""Positions of patches that cover a volume."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product


def window_starts(shape: Sequence[int], patch: Sequence[int], stride: Sequence[int]) -> list[tuple[int, ...]]:
    """List the first corners of windows of ``patch`` voxels that cover a volume of ``shape`` voxels.

    Along each axis windows start at every multiple of ``stride``; the last one is moved back to end with the volume.
    An axis shorter than the patch has one window, at 0, which extends outside the volume, so the caller must pad it.

    Args:
        shape, patch, stride: voxels, (z, y, x) or any other number of axes; ``0 < stride <= patch``.

    Returns:
        Starts in z-major order, without repeats.
    """
    axes = []
    for n, p, s in zip(shape, patch, stride):
        last = max(n - p, 0)
        axes.append([*range(0, last, s), last])
    return list(product(*axes))
