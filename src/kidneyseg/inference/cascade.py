"""A whole recipe on one scan: its stages in order, each on the scan or on the ROIs of an earlier one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kidneyseg.data.geometry import slice_grids, volume_grid
from kidneyseg.data.samples import to_classes
from kidneyseg.inference.stages import Progress, ignore_progress, run_slices, run_volumes
from kidneyseg.recipe import Stage
from kidneyseg.volume.components import clean
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.roi import kidney_boxes

if TYPE_CHECKING:
    from kidneyseg.inference.model import Model


@dataclass(frozen=True)
class StageMask:
    """What a stage yields: uint8 labels, cleaned by the stage's components, (z, y, x) on ``grid``."""

    mask: np.ndarray
    grid: Grid


@dataclass
class Result:
    """What a recipe makes of a scan.

    Attributes:
        mask: (z, y, x) uint8 labels on the scan.
        stages: the mask of every stage that ran, by name.
        rois: the ROIs of every stage that has some, as crops of the scan's grid, by name.
        seconds: wall time per stage and of the final clean-up.
    """

    mask: np.ndarray
    stages: dict[str, StageMask] = field(default_factory=dict)
    rois: dict[str, list[Grid]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def segment(
    scan: Scan, model: Model, *, oracle: np.ndarray | None = None, progress: Progress = ignore_progress
) -> Result:
    """Segment ``scan`` with ``model``.

    A scan in which nothing is found yields an empty mask and a warning. Beside the scan itself this holds its mask
    and the body or ROI at work as uint8, and the windows or slices at work as float: never a float copy of a scan.

    Args:
        scan: HU in canonical orientation.
        oracle: the true mask, (z, y, x) labels on the scan. ROIs are then cut from it instead of from the earlier
            stage's mask, as Table 2 of the CCF BDCI 2022 third-prize solution (MPLab) does, to judge the stage alone.
        progress: called after every batch with the stage's name and the number of windows or slices done.
    """
    if oracle is not None and oracle.shape != scan.array.shape:
        raise ValueError(f"true mask of shape {oracle.shape} does not lie on a scan of shape {scan.array.shape}")
    recipe = model.recipe
    result = Result(np.zeros(scan.array.shape, np.uint8))
    grids: dict[str, Grid] = {}  # of the 3-D stages
    for stage in recipe.stages:
        with _timed(result, stage.name):
            if stage.region.of is None:
                grids[stage.name] = volume_grid(scan.array, scan.spacing, stage)
                if oracle is not None and stage is not recipe.stages[-1]:
                    continue  # only its grid matters: its mask is known
                result.stages[stage.name] = _volume_stage(scan, stage, model, grids[stage.name], progress)
            else:
                earlier = stage.region.of
                mask = (_true_mask(oracle, grids[earlier], recipe.stage(earlier)) if oracle is not None
                        else result.stages[earlier].mask)
                result.rois[stage.name], result.stages[stage.name] = _roi_stage(
                    scan, stage, model, mask, grids[earlier], progress
                )
    with _timed(result, "components"):
        last = result.stages[recipe.stages[-1].name]
        result.mask = clean(last.mask, recipe.components, scan.voxel_ml)
    if not result.mask.any():
        warnings.warn(f"{scan.path}: no kidney found, the mask is empty", stacklevel=2)
    return result


def _volume_stage(scan: Scan, stage: Stage, model: Model, grid: Grid, progress: Progress) -> StageMask:
    """A 3-D stage; on its own grid, where later stages cut their ROIs, or on the scan if it is the last."""
    target = Grid.of(scan.array) if stage is model.recipe.stages[-1] else grid
    mask = run_volumes(scan.array, grid, target, stage, model.runtimes[stage.name], progress)
    return StageMask(clean(mask, stage.components, _voxel_ml(target, scan)), target)


def _roi_stage(
    scan: Scan, stage: Stage, model: Model, earlier: np.ndarray, grid: Grid, progress: Progress
) -> tuple[list[Grid], StageMask]:
    """A 2-D stage on the ROIs of ``earlier``, a mask on ``grid``; returns them and its mask on the scan."""
    boxes = kidney_boxes(earlier, stage.region.gap, stage.region.margin)
    target = Grid.of(scan.array)
    parts = slice_grids(boxes, grid, target, stage.sampling.size)
    mask = run_slices(scan.array, parts, stage, model.runtimes[stage.name], progress)
    return [roi for roi, _ in parts], StageMask(clean(mask, stage.components, scan.voxel_ml), target)


def _true_mask(oracle: np.ndarray, grid: Grid, stage: Stage) -> np.ndarray:
    """What ``stage`` should have found, on ``grid``: class indices, as training data takes its ROIs from."""
    return to_classes(sample(oracle, Grid.of(oracle), grid, order=0), stage.targets)


def _voxel_ml(grid: Grid, scan: Scan) -> float:
    return float(np.prod(grid.spacing(scan.spacing))) / 1000


@contextmanager
def _timed(result: Result, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    result.seconds[name] = result.seconds.get(name, 0.0) + time.perf_counter() - started
