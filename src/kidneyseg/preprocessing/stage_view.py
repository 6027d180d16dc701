"""The view of a stage on one scan: computed once per scan and stage, for training, inference and deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kidneyseg.preprocessing.class_codes import class_table
from kidneyseg.preprocessing.image import image_on
from kidneyseg.preprocessing.regions import StageMask, input_grid, stage_boxes
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.dilate import dilate
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.nifti import Scan


@dataclass(frozen=True)
class RegionView:
    """One region of a stage.

    Attributes:
        mask_grid: grid of this region's part of the mask.
        input_grid: grid of the network's input.
    """

    mask_grid: Grid
    input_grid: Grid


@dataclass(frozen=True)
class StageView:
    """The view of one stage on one scan.

    Attributes:
        scan: the scan.
        stage: the stage.
        regions: the regions, which are segmented separately, in the order of ``volume.roi.region_boxes``. They may
            overlap. Their mask grids are parts of ``mask_grid``, with the same voxels.
        mask_grid: grid of the stage's mask. If the stage has no ``region.of`` and only later stages use its mask, it is
            the grid of the network's input; otherwise it is the grid of the scan.
        previous: mask of the stage in ``region.of``; None without such a stage.
    """

    scan: Scan
    stage: Stage
    regions: tuple[RegionView, ...]
    mask_grid: Grid
    previous: StageMask | None = None

    def image(self, grid: Grid) -> np.ndarray:
        """Return the network's input on ``grid`` before normalisation, uint8 of ``grid.shape``.

        0 is air. With ``region.masked``, all voxels outside the previous mask are 0.
        """
        image = image_on(grid, self.scan.array, self.stage.intensity.clip)
        if self.stage.region.masked:
            image[~self.previous_on(grid)] = 0
        return image

    def previous_on(self, grid: Grid) -> np.ndarray:
        """Return the previous mask on ``grid``, dilated by ``region.grow`` mm: bool of ``grid.shape``."""
        assert self.previous is not None  # masked and confined stages have one
        mask = sample(self.previous.mask, self.previous.grid, grid, order=0) > 0
        radius = self.stage.region.grow
        return dilate(mask, radius, grid.spacing(self.scan.spacing)) if radius else mask

    @property
    def mask_voxel_ml(self) -> float:
        """Volume of one voxel of the stage's mask in ml."""
        return self.mask_grid.voxel_ml(self.scan.voxel_ml)


def view_stage(scan: Scan, recipe: Recipe, stage: Stage, previous: StageMask | None = None) -> StageView:
    """Compute the view of one stage on ``scan``.

    Args:
        scan: the scan.
        recipe: the recipe.
        stage: a stage of the recipe.
        previous: mask of the stage in ``region.of``. If it is empty there are no regions.
    """
    own = Grid.of(scan.array)
    crops = [own.crop(box) for box in stage_boxes(scan, stage.region, previous)]
    inputs = [input_grid(crop, scan.spacing, stage.sampling) for crop in crops]
    if stage.region.of is None and stage.name not in recipe.result_stages:
        [own], crops = inputs, inputs
    return StageView(scan, stage, tuple(map(RegionView, crops, inputs)), own, previous)


def true_mask(view: StageView, label: np.ndarray) -> StageMask:
    """Return the stage's true mask: class indices of ``label``, (z, y, x) on the scan, on ``view.mask_grid``."""
    classes = class_table(view.stage.targets)
    return StageMask(classes[sample(label, Grid.of(label), view.mask_grid, order=0)], view.mask_grid)


def true_views(scan: Scan, label: np.ndarray, recipe: Recipe) -> Iterator[StageView]:
    """Yield the view of each stage in order, with true masks in place of the earlier stages' predictions.

    Args:
        scan: the scan.
        label: true mask, (z, y, x) uint8, with the recipe's labels.
        recipe: the recipe.
    """
    masks: dict[str | None, StageMask] = {}
    for stage in recipe.stages:
        view = view_stage(scan, recipe, stage, masks.get(stage.region.of))
        if any(later.region.of == stage.name for later in recipe.stages):
            masks[stage.name] = true_mask(view, label)
        yield view
