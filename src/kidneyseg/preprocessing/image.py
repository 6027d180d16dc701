"""A scan's HU as the 8-bit image that a network sees, on any grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8

PIECE = 1 << 24  # voxels resampled at a time: interpolation needs floats, and a grid may be as large as the scan


def image_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    """The scan as 8-bit image, interpolated linearly: (z, y, x) uint8 of ``grid.shape``.

    Args:
        grid: in voxels of the scan; outside the scan it sees 0, air.
        hu: the whole scan, (z, y, x), HU. Only the part under ``grid`` is read.
        clip: (low, high) HU, which become 0 and 255.
    """
    image = np.empty(grid.shape, np.uint8)
    planes = max(1, PIECE // (grid.shape[1] * grid.shape[2]))
    for z in range(0, grid.shape[0], planes):
        piece = (slice(z, min(z + planes, grid.shape[0])), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
        image[piece] = _piece_on(grid.crop(piece), hu, clip)
    return image


def stack_slices(depth: int, stack: int) -> np.ndarray:
    """Which slices the network sees for each of ``depth`` slices: (depth, stack) int, the slice itself in the middle.

    Beyond the ends the last slice is repeated.
    """
    offsets = np.arange(stack) - stack // 2
    return np.clip(np.arange(depth)[:, None] + offsets, 0, depth - 1)


def _piece_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    scan = Grid.of(hu)
    under = grid.cover([slice(0, n) for n in grid.shape], scan)
    # One voxel more on every side: linear interpolation looks at the neighbours of a voxel on the rim.
    box = tuple(slice(max(0, part.start - 1), min(n, part.stop + 1)) for part, n in zip(under, hu.shape))
    return sample(to_uint8(hu[box], clip), scan.crop(box), grid, order=1)
