"""Dilation of masks by a distance in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage as ndi

from kidneyseg.volume.box import bounding_box


def dilate(mask: np.ndarray, mm: float, spacing: Sequence[float]) -> np.ndarray:
    """Dilate ``mask``, (z, y, x) bool: add voxels with a centre at most ``mm`` from one in it; ``spacing`` in mm."""
    dilated = np.zeros_like(mask)
    if mask.any():
        reach = [int(mm / step) for step in spacing]
        box = tuple(slice(max(0, side.start - n), side.stop + n) for side, n in zip(bounding_box(mask), reach))
        dilated[box] = ndi.distance_transform_edt(~mask[box], sampling=spacing) <= mm
    return dilated
