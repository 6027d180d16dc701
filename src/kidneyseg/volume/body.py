"""The bounding box of the patient's body, without air, table and padding."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage as ndi

from kidneyseg.volume.axes import PerAxis, per_axis

BODY_HU = -500  # between air or lung and fat
COARSE = 128  # voxels per axis, enough to find a body
OPENING = 2  # coarse voxels; the table and tubes are thinner than twice this, or separate from the body


def body_box(hu: np.ndarray) -> PerAxis[slice]:
    """Compute the box around the largest connected region above -500 HU, the patient.

    The region is found on a strided copy of at most about 128 voxels per axis. An in-plane opening separates the table
    from the patient. The box is widened by one coarse voxel, so it may be a few voxels too large, but never too small.

    Args:
        hu: (z, y, x), HU.

    Returns:
        Three slices with start and stop; the whole volume if nothing is above the threshold.
    """
    strides = [-(-n // COARSE) for n in hu.shape]
    coarse = hu[tuple(slice(None, None, s) for s in strides)] > BODY_HU
    in_plane = ndi.generate_binary_structure(2, 1)[None]
    opened = ndi.binary_opening(np.pad(coarse, OPENING, mode="edge"), in_plane, iterations=OPENING)
    opened = opened[tuple(slice(OPENING, -OPENING) for _ in range(3))]
    region = opened if opened.any() else coarse
    if not region.any():
        return per_axis(slice(0, n) for n in hu.shape)
    largest = cc3d.largest_k(region, k=1, connectivity=6) > 0
    box = ndi.find_objects(largest.astype(np.uint8))[0]
    return per_axis(
        slice(max(0, (b.start - 1) * s), min(n, (b.stop + 1) * s)) for b, s, n in zip(box, strides, hu.shape)
    )
