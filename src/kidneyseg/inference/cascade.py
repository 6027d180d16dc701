"""A whole recipe on one scan: its stages in order, each on the scan or on what an earlier one found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from kidneyseg.data.geometry import Part, StageMask, mask_grid, stage_parts
from kidneyseg.data.samples import true_mask
from kidneyseg.inference.slabs import paint
from kidneyseg.inference.sliding import Slabs
from kidneyseg.inference.stages import Progress, class_labels, ignore_progress, stage_slabs
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.box import Box
from kidneyseg.volume.components import clean
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.plausibility import result_doubts

if TYPE_CHECKING:
    from kidneyseg.inference.model import Model, Runtime


Listener = Callable[[Stage, Box, Slabs], Slabs]


def pass_on(stage: Stage, box: Box, slabs: Slabs) -> Slabs:
    """Listen to nothing."""
    return slabs


@dataclass
class Result:
    """What a recipe makes of a scan.

    Attributes:
        mask: (z, y, x) uint8 labels on the scan.
        stages: the mask of every stage that ran, by name: labels, cleaned by the stage's components.
        rois: the regions of every stage that looks at what an earlier one found, as crops of the scan's grid, by name.
        seconds: wall time per stage and of the final clean-up.
    """

    mask: np.ndarray
    stages: dict[str, StageMask] = field(default_factory=dict)
    rois: dict[str, list[Grid]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def segment(
    scan: Scan, model: Model, *, oracle: np.ndarray | None = None, found: Mapping[str, StageMask] | None = None,
    progress: Progress = ignore_progress, listen: Listener = pass_on,
) -> Result:
    """Segment ``scan`` with ``model``.

    An unlikely mask, such as an empty one, comes with a warning. Beside the scan itself this holds its masks
    and the part at work as uint8, and the windows or slices at work as float: never a float copy of a scan.

    Args:
        scan: HU in canonical orientation.
        oracle: the true mask, (z, y, x) labels on the scan. Regions are then cut from it instead of from the earlier
            stage's mask, as Table 2 of the CCF BDCI 2022 third-prize solution (MPLab) does, to judge a stage alone;
            stages that only find regions for others do not run.
        found: masks of stages that need not run, by name.
        progress: called after every batch with the stage's name and the number of windows or slices done.
        listen: gets the probabilities of every stage on its mask's grid, with the box of it that they lie in, and
            gives them back as they are.
    """
    if oracle is not None and oracle.shape != scan.array.shape:
        raise ValueError(f"true mask of shape {oracle.shape} does not lie on a scan of shape {scan.array.shape}")
    recipe = model.recipe
    result = Result(np.zeros(scan.array.shape, np.uint8), stages=dict(found or {}))
    for stage in recipe.stages:
        if stage.name in result.stages or (oracle is not None and stage.name not in recipe.painted):
            continue
        with _timed(result, stage.name):
            earlier = _earlier(scan, recipe, stage, result, oracle)
            parts = stage_parts(scan, recipe, stage, earlier)
            result.stages[stage.name] = stage_mask(scan, recipe, stage, parts, model.runtimes[stage.name],
                                                   earlier=earlier, progress=progress, listen=listen)
            if stage.region.of is not None:
                result.rois[stage.name] = [part.region for part in parts]
    with _timed(result, "components"):
        result.mask = painted_mask(scan, recipe, result.stages)
    warn_of_result(scan, result.mask)
    return result


def warn_of_result(scan: Scan, mask: np.ndarray) -> None:
    """Warn of what is unlikely about the result ``mask`` of ``scan``."""
    for doubt in result_doubts(mask, scan.voxel_ml):
        warnings.warn(f"{scan.path}: {doubt}", stacklevel=3)


def stage_mask(
    scan: Scan, recipe: Recipe, stage: Stage, parts: Sequence[Part], runtime: Runtime, *,
    earlier: StageMask | None = None, progress: Progress = ignore_progress, listen: Listener = pass_on,
) -> StageMask:
    """What ``stage`` finds in ``parts``, cleaned by its components, on its own mask's grid.

    Args:
        parts: what the stage sees of the scan, from :func:`kidneyseg.data.geometry.stage_parts`.
        earlier: the mask of the stage that ``region.of`` names.
        progress, listen: as of :func:`segment`.
    """
    grid = mask_grid(scan, recipe, stage)
    mask = np.zeros(grid.shape, np.uint8)
    for box, slabs in stage_slabs(scan, stage, parts, grid, runtime, earlier=earlier, progress=progress):
        paint(mask[box], listen(stage, box, slabs), class_labels(stage))
    return cleaned(scan, stage, StageMask(mask, grid))


def cleaned(scan: Scan, stage: Stage, found: StageMask) -> StageMask:
    """What ``stage`` has found after its components."""
    if not stage.components:  # to clean nothing takes a copy of the mask and a look at all of it
        return found
    return StageMask(clean(found.mask, stage.components, found.grid.voxel_ml(scan.voxel_ml)), found.grid)


def painted_mask(scan: Scan, recipe: Recipe, stages: Mapping[str, StageMask]) -> np.ndarray:
    """The result, (z, y, x) uint8 labels on the scan: masks of ``stages`` painted over each other and cleaned."""
    painted = reduce(lambda under, over: np.where(over > 0, over, under),
                     [stages[name].mask for name in recipe.painted])
    return clean(painted, recipe.components, scan.voxel_ml)


def _earlier(scan: Scan, recipe: Recipe, stage: Stage, result: Result, oracle: np.ndarray | None) -> StageMask | None:
    """The mask, found or true, of the stage that ``stage`` looks at; None if it looks at the scan."""
    of = stage.region.of
    if of is None:
        return None
    return result.stages[of] if oracle is None else true_mask(scan, oracle, recipe, recipe.stage(of))


@contextmanager
def _timed(result: Result, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    result.seconds[name] = result.seconds.get(name, 0.0) + time.perf_counter() - started
