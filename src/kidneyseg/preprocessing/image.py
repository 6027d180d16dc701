"""Conversion of a scan in HU to the 8-bit image for a network, on any grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8

PIECE = 1 << 24  # voxels resampled at a time, because interpolation needs floats and a grid may be as large as the scan


def image_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    """Resample the scan to ``grid`` as an 8-bit image, with linear interpolation.

    Args:
        grid: grid in voxels of the scan; outside the scan the image is 0 (air).
        hu: the whole scan, (z, y, x), HU. Only the part inside ``grid`` is read.
        clip: (low, high) HU, which are mapped to 0 and 255.

    Returns:
        (z, y, x) uint8 of ``grid.shape``.
    """
    image = np.empty(grid.shape, np.uint8)
    planes = max(1, PIECE // (grid.shape[1] * grid.shape[2]))
    for z in range(0, grid.shape[0], planes):
        piece = (slice(z, min(z + planes, grid.shape[0])), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
        image[piece] = _piece_on(grid.crop(piece), hu, clip)
    return image


def stack_slices(depth: int, stack: int) -> np.ndarray:
    """Return the indices of the slices in each stack: (depth, stack) int, with the slice itself in the middle.

    Beyond the ends the last slice is repeated.
    """
    offsets = np.arange(stack) - stack // 2
    return np.clip(np.arange(depth)[:, None] + offsets, 0, depth - 1)


def _piece_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    scan = Grid.of(hu)
    under = grid.cover([slice(0, n) for n in grid.shape], scan)
    # One more voxel on every side, because linear interpolation needs the neighbours of the outermost voxels.
    box = tuple(slice(max(0, part.start - 1), min(n, part.stop + 1)) for part, n in zip(under, hu.shape))
    return sample(to_uint8(hu[box], clip), scan.crop(box), grid, order=1)
