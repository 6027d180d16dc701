"""Masks with a rim around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage as ndi

from kidneyseg.volume.box import bounding_box


def dilate(mask: np.ndarray, mm: float, spacing: Sequence[float]) -> np.ndarray:
    """All voxels whose centre is at most ``mm`` from that of one in ``mask`` (z, y, x) bool; ``spacing`` in mm."""
    grown = np.zeros_like(mask)
    if mask.any():
        reach = [int(mm / step) for step in spacing]
        box = tuple(slice(max(0, side.start - n), side.stop + n) for side, n in zip(bounding_box(mask), reach))
        grown[box] = ndi.distance_transform_edt(~mask[box], sampling=spacing) <= mm
    return grown
