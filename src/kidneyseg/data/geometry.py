"""Where a stage looks in a scan, and the image it sees there.

One place for training data and inference, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kidneyseg.recipe import Recipe, Region, Stage, Volumes, Whole
from kidneyseg.recipe.geometry import Sampling
from kidneyseg.volume.body import body_box
from kidneyseg.volume.box import Box
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.grow import grow
from kidneyseg.volume.intensity import to_uint8
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.roi import region_boxes

PIECE = 1 << 24  # voxels resampled at a time: interpolation needs floats, and a grid may be as large as the scan


@dataclass(frozen=True)
class StageMask:
    """What a stage finds, or should find: uint8 of any kind (0 is background), (z, y, x) on ``grid``."""

    mask: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class Part:
    """A part of a scan that a stage sees by itself: ``seen`` as its network does, its mask is wanted on ``region``."""

    region: Grid
    seen: Grid


def stage_parts(scan: Scan, recipe: Recipe, stage: Stage, earlier: StageMask | None = None) -> list[Part]:
    """The parts of ``scan`` that ``stage`` sees, in the order of :func:`kidneyseg.volume.roi.region_boxes`.

    A stage without ``region.of`` sees one part, the body (``region.body``) or the whole scan.

    Args:
        earlier: the mask of the stage that ``region.of`` names. Where it is empty there are no parts.

    Returns:
        Parts whose regions lie, voxel on voxel, on :func:`mask_grid`, clipped to it.
    """
    own = Grid.of(scan.array)
    regions = [own.crop(box) for box in _boxes(scan, stage.region, earlier)]
    parts = [Part(region, seen_grid(region, scan.spacing, stage.sampling)) for region in regions]
    return [Part(part.seen, part.seen) for part in parts] if _keeps_own_grid(recipe, stage) else parts


def mask_grid(scan: Scan, recipe: Recipe, stage: Stage) -> Grid:
    """Where the mask of ``stage`` lies.

    That of a stage that sees the scan in one part, for later stages alone, stays on the grid its network sees; every
    other is on the scan.
    """
    if not _keeps_own_grid(recipe, stage):
        return Grid.of(scan.array)
    [part] = stage_parts(scan, recipe, stage)
    return part.region


def seen_grid(region: Grid, spacing: Sequence[float], sampling: Sampling) -> Grid:
    """``region``, a crop of a scan of ``spacing`` mm, on the lattice that ``sampling`` asks for."""
    if isinstance(sampling, Volumes):
        return region.at_spacing(sampling.spacing, spacing)
    if isinstance(sampling, Whole):
        return region.resize(sampling.shape)
    between = sampling.slice_spacing or spacing[0]
    return region.resize((region.at_spacing((between, *spacing[1:]), spacing).shape[0], *sampling.size))


def seen_image(scan: Scan, stage: Stage, grid: Grid, earlier: StageMask | None = None) -> np.ndarray:
    """What the network of ``stage`` sees on ``grid``, before normalisation: :func:`image_on`, masked if it asks so.

    Args:
        earlier: the mask of the stage that ``region.of`` names; ``region.masked`` makes what lies outside it 0.
    """
    image = image_on(grid, scan.array, stage.intensity.clip)
    if stage.region.masked:
        image[~earlier_on(grid, scan, stage, earlier)] = 0
    return image


def earlier_on(grid: Grid, scan: Scan, stage: Stage, earlier: StageMask) -> np.ndarray:
    """The mask of the stage before ``stage``, grown as ``region.grow`` says: bool of ``grid.shape``."""
    mask = sample(earlier.mask, earlier.grid, grid, order=0) > 0
    return grow(mask, stage.region.grow, grid.spacing(scan.spacing)) if stage.region.grow else mask


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


def _boxes(scan: Scan, region: Region, earlier: StageMask | None) -> list[Box]:
    """The stage's regions as boxes of the scan's own voxels."""
    own = Grid.of(scan.array)
    whole = tuple(slice(0, n) for n in own.shape)
    if region.of is None:
        return [body_box(scan.array) if region.body else whole]
    mask, grid = earlier.mask, earlier.grid
    if region.voxels == "scan" and grid != own:
        mask, grid = sample(mask, grid, own, order=0), own
    boxes = [grid.cover(box, own) for box in region_boxes(mask, region)]
    if region.crop == "none":
        return [whole for _ in boxes]
    if region.crop == "slices":
        boxes = [(box[0], *whole[1:]) for box in boxes]
    return [box for box in boxes if all(part.start < part.stop for part in box)]


def _keeps_own_grid(recipe: Recipe, stage: Stage) -> bool:
    return stage.region.of is None and stage.name not in recipe.painted


def _piece_on(grid: Grid, hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    scan = Grid.of(hu)
    under = grid.cover([slice(0, n) for n in grid.shape], scan)
    # One voxel more on every side: linear interpolation looks at the neighbours of a voxel on the rim.
    box = tuple(slice(max(0, part.start - 1), min(n, part.stop + 1)) for part, n in zip(under, hu.shape))
    return sample(to_uint8(hu[box], clip), scan.crop(box), grid, order=1)
