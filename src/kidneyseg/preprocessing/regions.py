"""Which parts of a scan a stage sees, and on which grid its network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kidneyseg.recipe import Region, VolumeSampling, WholeSampling
from kidneyseg.recipe.sampling import Sampling
from kidneyseg.volume.body import body_box
from kidneyseg.volume.box import Box
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.roi import region_boxes


@dataclass(frozen=True)
class StageMask:
    """What a stage finds, or should find: uint8 of any kind (0 is background), (z, y, x) on ``grid``."""

    mask: np.ndarray
    grid: Grid


def stage_boxes(scan: Scan, region: Region, previous: StageMask | None) -> list[Box]:
    """The regions of a stage as boxes of the scan's own voxels, in the order of `volume.roi.region_boxes`.

    Without ``region.of`` there is one: the body (``region.body``) or the whole scan.

    Args:
        previous: the mask of the stage that ``region.of`` names. Where it is empty there are no regions.
    """
    own = Grid.of(scan.array)
    whole = tuple(slice(0, n) for n in own.shape)
    if region.of is None:
        return [body_box(scan.array) if region.body else whole]
    assert previous is not None  # of the stage that ``region.of`` names
    mask, grid = previous.mask, previous.grid
    if region.voxels == "scan" and grid != own:
        mask, grid = sample(mask, grid, own, order=0), own
    boxes: list[Box] = [grid.cover(box, own) for box in region_boxes(mask, region)]
    if region.crop == "none":
        return [whole for _ in boxes]
    if region.crop == "slices":
        boxes = [(box[0], *whole[1:]) for box in boxes]
    return [box for box in boxes if all(part.start < part.stop for part in box)]


def input_grid(region: Grid, spacing: Sequence[float], sampling: Sampling) -> Grid:
    """``region``, a crop of a scan of ``spacing`` mm, resampled as ``sampling`` asks for."""
    if isinstance(sampling, VolumeSampling):
        return region.at_spacing(sampling.spacing, spacing)
    if isinstance(sampling, WholeSampling):
        return region.resize(sampling.shape)
    between = sampling.slice_spacing or spacing[0]
    return region.resize((region.at_spacing((between, *spacing[1:]), spacing).shape[0], *sampling.size))
