"""What a stage sees of one scan, as one value: made once per scan and stage, for training, inference and deployment."""

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
    """One region: ``input_grid`` is what the network sees, ``mask_grid`` where its part of the mask is wanted."""

    mask_grid: Grid
    input_grid: Grid


@dataclass(frozen=True)
class StageView:
    """One scan as one stage sees it.

    Attributes:
        regions: the parts that the stage sees by themselves, in the order of `volume.roi.region_boxes`. They may
            overlap; their mask grids lie, voxel on voxel, on ``mask_grid`` and inside it.
        mask_grid: where the mask of the stage lies. That of a stage that sees the scan in one region, for later stages
            alone, stays on the grid of its network's input; every other is on the scan.
        previous: the mask of the stage that ``region.of`` names, None where there is none.
    """

    scan: Scan
    stage: Stage
    regions: tuple[RegionView, ...]
    mask_grid: Grid
    previous: StageMask | None = None

    def image(self, grid: Grid) -> np.ndarray:
        """The network's input on ``grid`` before normalisation, uint8 of ``grid.shape``.

        0 is air; so is all that lies outside the previous mask if ``region.masked`` says so.
        """
        image = image_on(grid, self.scan.array, self.stage.intensity.clip)
        if self.stage.region.masked:
            image[~self.previous_on(grid)] = 0
        return image

    def previous_on(self, grid: Grid) -> np.ndarray:
        """The previous mask on ``grid``, dilated as ``region.grow`` says: bool of ``grid.shape``."""
        assert self.previous is not None  # masked and confined stages have one
        mask = sample(self.previous.mask, self.previous.grid, grid, order=0) > 0
        radius = self.stage.region.grow
        return dilate(mask, radius, grid.spacing(self.scan.spacing)) if radius else mask

    @property
    def mask_voxel_ml(self) -> float:
        """Volume of one voxel of the stage's mask in ml."""
        return self.mask_grid.voxel_ml(self.scan.voxel_ml)


def view_stage(scan: Scan, recipe: Recipe, stage: Stage, previous: StageMask | None = None) -> StageView:
    """What ``stage`` of ``recipe`` sees of ``scan``.

    Args:
        previous: the mask of the stage that ``region.of`` names. Where it is empty there are no regions.
    """
    own = Grid.of(scan.array)
    crops = [own.crop(box) for box in stage_boxes(scan, stage.region, previous)]
    inputs = [input_grid(crop, scan.spacing, stage.sampling) for crop in crops]
    if stage.region.of is None and stage.name not in recipe.result_stages:
        [own], crops = inputs, inputs
    return StageView(scan, stage, tuple(map(RegionView, crops, inputs)), own, previous)


def true_mask(view: StageView, label: np.ndarray) -> StageMask:
    """What the stage should find: class indices of ``label``, (z, y, x) on the scan, on the grid of its mask."""
    classes = class_table(view.stage.targets)
    return StageMask(classes[sample(label, Grid.of(label), view.mask_grid, order=0)], view.mask_grid)


def true_views(scan: Scan, label: np.ndarray, recipe: Recipe) -> Iterator[StageView]:
    """What each stage sees after perfect ones, in order.

    Args:
        label: the true mask, (z, y, x) uint8, labels as the recipe names them.
    """
    masks: dict[str | None, StageMask] = {}
    for stage in recipe.stages:
        view = view_stage(scan, recipe, stage, masks.get(stage.region.of))
        if any(later.region.of == stage.name for later in recipe.stages):
            masks[stage.name] = true_mask(view, label)
        yield view
