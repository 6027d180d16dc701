"""The grids a stage works on and the image it sees there.

One place for training data and inference, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, Slices, Stage, Volumes
from kidneyseg.volume.body import body_box
from kidneyseg.volume.box import Box
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8


def check_regions(recipe: Recipe) -> None:
    """Refuse a recipe whose stages combine region and sampling in a way that nothing here can cut.

    Raises:
        InputError: a 2-D stage without ROIs, a 3-D stage with them, or ROIs of a 2-D stage.
    """
    for stage in recipe.stages:
        if isinstance(stage.sampling, Slices) != (stage.region.of is not None):
            raise InputError(
                f"recipe {recipe.name!r}, stage {stage.name!r}",
                expected="volumes (spacing, patch, stride) of the scan, or slices (size) of an earlier stage's ROIs",
                found="slices of the whole scan" if stage.region.of is None else "volumes of ROIs",
                remedy="Give a slice stage region.of, and a volume stage none",
            )
        if stage.region.of and not isinstance(recipe.stage(stage.region.of).sampling, Volumes):
            raise InputError(
                f"recipe {recipe.name!r}, stage {stage.name!r}", expected="region.of to name a volume stage",
                found=f"{stage.region.of!r}, a slice stage", remedy="Take the ROIs of a volume stage",
            )


def volume_grid(hu: np.ndarray, scan_spacing: Sequence[float], stage: Stage) -> Grid:
    """The grid of a 3-D stage: the scan's body (``stage.region.body``) or all of it, at ``stage.sampling.spacing``.

    Args:
        hu: the scan in canonical orientation, (z, y, x), HU.
        scan_spacing: its voxel size in mm, (z, y, x).
    """
    grid = Grid.of(hu)
    if stage.region.body:
        grid = grid.crop(body_box(hu))
    return grid.at_spacing(stage.sampling.spacing, scan_spacing)


def slice_grids(
    boxes: Sequence[Box], stage_grid: Grid, scan_grid: Grid, size: Sequence[int]
) -> list[tuple[Grid, Grid]]:
    """The grids of a 2-D stage: for each ROI its voxels in the scan, and its slices as the network sees them.

    Args:
        boxes: ROIs in voxels of ``stage_grid``, the grid of the earlier stage they come from.
        scan_grid: the grid of the scan itself.
        size: (y, x) pixels of the network's slices; the number of slices stays the scan's own.

    Returns:
        (ROI grid, slice grid) per box: the ROI grid is the smallest crop of the scan that holds the box. Boxes that
        lie outside the scan are left out.
    """
    grids = []
    for box in boxes:
        crop = stage_grid.cover(box, scan_grid)
        if all(part.start < part.stop for part in crop):
            roi = scan_grid.crop(crop)
            grids.append((roi, roi.resize((roi.shape[0], *size))))
    return grids


def image_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    """The scan as a network sees it, before normalisation: (z, y, x) uint8 of ``grid.shape``.

    Args:
        grid: in voxels of the scan; outside the scan it sees 0, air.
        hu: the whole scan, (z, y, x), HU. Only the part under ``grid`` is read.
        clip: (low, high) HU, which become 0 and 255.
    """
    scan = Grid.of(hu)
    under = grid.cover([slice(0, n) for n in grid.shape], scan)
    # One voxel more on every side: linear interpolation looks at the neighbours of a voxel on the rim.
    box = tuple(slice(max(0, part.start - 1), min(n, part.stop + 1)) for part, n in zip(under, hu.shape))
    return sample(to_uint8(hu[box], clip), scan.crop(box), grid, order=1)
