"""The regions of a scan that a stage segments, and the grid of the network's input."""

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
    """A predicted or true mask of a stage.

    Attributes:
        mask: (z, y, x) uint8, labels or class indices; 0 is background.
        grid: grid of the mask, in voxels of the scan.
    """

    mask: np.ndarray
    grid: Grid


def stage_boxes(scan: Scan, region: Region, previous: StageMask | None) -> list[Box]:
    """Compute the regions of a stage as boxes in voxels of the scan, in the order of ``volume.roi.region_boxes``.

    Without ``region.of`` there is one region: the body (``region.body``) or the whole scan.

    Args:
        scan: the scan.
        region: the region settings of the stage.
        previous: mask of the stage in ``region.of``. If it is empty there are no regions.
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
    """Return the grid of ``region``, a crop of a scan of ``spacing`` mm, after resampling by ``sampling``."""
    if isinstance(sampling, VolumeSampling):
        return region.at_spacing(sampling.spacing, spacing)
    if isinstance(sampling, WholeSampling):
        return region.resize(sampling.shape)
    between = sampling.slice_spacing or spacing[0]
    return region.resize((region.at_spacing((between, *spacing[1:]), spacing).shape[0], *sampling.size))
