"""Where the patient is: the box around the body, without air, table and padding."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage as ndi

from kidneyseg.volume.axes import PerAxis, per_axis

BODY_HU = -500  # between air or lung and fat
COARSE = 128  # voxels per axis that are enough to find a body
OPENING = 2  # coarse voxels; the table and tubes are thinner than twice this, or lie apart


def body_box(hu: np.ndarray) -> PerAxis[slice]:
    """The box around the largest connected region above -500 HU, the patient.

    The region is found on a strided copy of at most about 128 voxels per axis, opened in plane so that a table the
    patient lies on is cut off, and the box is widened by one coarse voxel: it may be a few voxels loose, never tight.

    Args:
        hu: (z, y, x), HU.

    Returns:
        Three slices with start and stop; the whole volume when nothing is above the threshold.
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
