"""Regions of interest cut from a mask of kidneys."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import cc3d
import numpy as np

from kidneyseg.volume.box import Box, bounding_box, widen

if TYPE_CHECKING:
    from kidneyseg.recipe import Region


def region_boxes(mask: np.ndarray, region: Region) -> list[Box]:
    """Compute the regions of interest in ``mask``; see :class:`kidneyseg.recipe.Region`.

    Args:
        mask: (z, y, x), non-zero inside the kidneys.
        region: the settings, of which crop, gap, margin and least are used.

    Returns:
        Boxes with start and stop inside the volume, ordered by z, then y, then x; none for an empty mask. They may
        overlap. With ``crop: none``, the one box of the whole volume.
    """
    mask = mask != 0
    if not mask.any():
        return []
    whole = tuple(slice(0, n) for n in mask.shape)
    if region.crop == "none":
        return [whole]
    tight = {
        "extents": lambda: extents(mask, region.gap),
        "kidneys": lambda: component_boxes(mask),
        "box": lambda: [bounding_box(mask)],
        "slices": lambda: [(bounding_box(mask)[0], *whole[1:])],
    }[region.crop]()
    return [widen(box, mask.shape, region.margin, region.least) for box in tight]


def extents(mask: np.ndarray, gap: int) -> list[Box]:
    """Compute tight boxes around the kidneys in ``mask``, as in the CCF BDCI 2022 third-prize solution (MPLab).

    Per axis, the coordinates where the mask has any voxel are split wherever neighbours are more than ``gap`` apart:
    ``where(diff(coordinates) > gap)``. Every combination of intervals on the three axes that contains voxels is shrunk
    to the bounding box of its voxels.

    Args:
        mask: (z, y, x) bool.
        gap: voxels.

    Returns:
        Boxes ordered by the intervals of z, then y, then x.
    """
    pieces = [_pieces(mask.any(axis=tuple({0, 1, 2} - {axis})), gap) for axis in range(3)]
    boxes = []
    for box in product(*pieces):
        part = mask[box]
        if part.any():
            boxes.append(_inside(box, bounding_box(part)))
    return boxes


def component_boxes(mask: np.ndarray) -> list[Box]:
    """Compute tight boxes around the 26-connected components of ``mask``, (z, y, x) bool, ordered by first corner."""
    outer = bounding_box(mask)  # the component numbers need four bytes per voxel, so only this part is numbered
    numbered = cc3d.connected_components(mask[outer], connectivity=26)
    boxes = [_inside(outer, box) for box in cc3d.statistics(numbered)["bounding_boxes"][1:]]
    return sorted(boxes, key=lambda box: [part.start for part in box])


def _inside(outer: Box, inner: Box) -> Box:
    """Convert ``inner``, which is relative to the first corner of ``outer``, to the coordinates of ``outer``."""
    return tuple(slice(int(o.start + i.start), int(o.start + i.stop)) for o, i in zip(outer, inner))


def _pieces(occupied: np.ndarray, gap: int) -> list[slice]:
    """List the intervals in which ``occupied``, (n,) bool, is True, merged across holes of fewer than ``gap``."""
    coordinates = np.flatnonzero(occupied)
    if not coordinates.size:
        return []
    runs = np.split(coordinates, np.flatnonzero(np.diff(coordinates) > gap) + 1)
    return [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
