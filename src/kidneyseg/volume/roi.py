"""Kidney regions of interest cut from a mask, as the CCF BDCI 2022 third-prize solution (MPLab) does."""

from __future__ import annotations

from itertools import product

import numpy as np

from kidneyseg.volume.box import Box, bounding_box


def kidney_boxes(mask: np.ndarray, gap: int, margin: int) -> list[Box]:
    """Boxes around the kidneys in ``mask``.

    Per axis, the coordinates where the mask has any voxel are split wherever neighbours are more than ``gap`` apart.
    Every combination of the three axes' pieces that holds voxels is shrunk to those voxels and widened by ``margin``.

    Args:
        mask: (z, y, x), non-zero where there is kidney.
        gap: voxels; ``where(diff(coordinates) > gap)`` splits.
        margin: voxels kept on every side, clipped to the volume.

    Returns:
        Boxes with start and stop, ordered by z, then y, then x; none for an empty mask. Their margins may overlap.
    """
    mask = mask != 0
    pieces = [_pieces(mask.any(axis=tuple({0, 1, 2} - {axis})), gap) for axis in range(3)]
    boxes = []
    for box in product(*pieces):
        part = mask[box]
        if part.any():
            boxes.append(tuple(
                slice(max(0, b.start + t.start - margin), min(n, b.start + t.stop + margin))
                for b, t, n in zip(box, bounding_box(part), mask.shape)
            ))
    return boxes


def _pieces(occupied: np.ndarray, gap: int) -> list[slice]:
    """Runs of the coordinates where ``occupied``, (n,) bool, holds, merged across holes of at most ``gap``."""
    coordinates = np.flatnonzero(occupied)
    if not coordinates.size:
        return []
    runs = np.split(coordinates, np.flatnonzero(np.diff(coordinates) > gap) + 1)
    return [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
