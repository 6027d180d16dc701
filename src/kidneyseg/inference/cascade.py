"""A whole recipe on one scan: its stages in order, each on the scan or on what an earlier one found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from kidneyseg.inference.resample_probabilities import write_labels
from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.inference.stage import Progress, ignore_progress, stage_probabilities
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView, true_mask, view_stage
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.runtime.base import Runtime
from kidneyseg.volume.box import Box
from kidneyseg.volume.components import clean
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.plausibility import result_doubts

ProbabilityHook = Callable[[Stage, Box, ProbabilitySlabs], ProbabilitySlabs]
"""Gets a stage's probabilities and the box of its mask's grid that they lie in; gives them back as they are."""


def no_hook(stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
    """Do nothing."""
    return slabs


@dataclass
class Result:
    """What a recipe makes of a scan.

    Attributes:
        mask: (z, y, x) uint8 labels on the scan.
        stages: the mask of every stage that ran, by name: labels, cleaned by the stage's components.
        rois: the regions of every stage that looks at what an earlier one found, as crops of the scan's grid, by name.
        seconds: wall time per stage and of the final clean-up.
        disagreement: of an ensemble alone: (z, y, x) uint8, percent, the share of models whose own label is not the
            mask's. It is the variation ratio (Freeman 1965) of the models' votes, as used with ensembles and dropout
            by Gal (2016).
    """

    mask: np.ndarray
    stages: dict[str, StageMask] = field(default_factory=dict)
    rois: dict[str, list[Grid]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    disagreement: np.ndarray | None = None


def segment(
    scan: Scan,
    recipe: Recipe,
    runtimes: Mapping[str, Runtime],
    *,
    oracle: np.ndarray | None = None,
    found: Mapping[str, StageMask] | None = None,
    progress: Progress = ignore_progress,
    on_probabilities: ProbabilityHook = no_hook,
) -> Result:
    """Segment ``scan``.

    An unlikely mask, such as an empty one, comes with a warning. Memory besides the scan: its masks and the region at
    work as uint8, and the windows or slices at work as float; never a float copy of a scan.

    Args:
        scan: HU in canonical orientation.
        runtimes: what computes the network of each stage, by the stage's name.
        oracle: the true mask, (z, y, x) labels on the scan. Regions are then cut from it instead of from the earlier
            stage's mask, as Table 2 of the CCF BDCI 2022 third-prize solution (MPLab) does, to judge a stage alone;
            stages that only find regions for others do not run.
        found: masks of stages that need not run, by name.
        progress: called after every batch with the stage's name and the number of windows or slices done.
        on_probabilities: called with the probabilities of every stage.
    """
    if oracle is not None and oracle.shape != scan.array.shape:
        raise ValueError(f"true mask of shape {oracle.shape} does not lie on a scan of shape {scan.array.shape}")
    result = Result(np.zeros(scan.array.shape, np.uint8), stages=dict(found or {}))
    masks = result.stages if oracle is None else {}  # what regions are cut from
    for stage in recipe.stages:
        if stage.name in result.stages:
            continue
        with _timed(result, stage.name):
            of = stage.region.of
            view = view_stage(scan, recipe, stage, None if of is None else masks.get(of))
            if oracle is not None:
                masks[stage.name] = true_mask(view, oracle)
            if oracle is not None and stage.name not in recipe.result_stages:
                continue
            result.stages[stage.name] = stage_mask(view, runtimes[stage.name], progress, on_probabilities)
            if of is not None:
                result.rois[stage.name] = [region.mask_grid for region in view.regions]
    with _timed(result, "components"):
        result.mask = result_mask(scan, recipe, result.stages)
    warn_of_result(scan, result.mask)
    return result


def warn_of_result(scan: Scan, mask: np.ndarray) -> None:
    """Warn of what is unlikely about the result ``mask`` of ``scan``."""
    for doubt in result_doubts(mask, scan.voxel_ml):
        warnings.warn(f"{scan.path}: {doubt}", stacklevel=3)


def stage_mask(
    view: StageView, runtime: Runtime, progress: Progress = ignore_progress, on_probabilities: ProbabilityHook = no_hook
) -> StageMask:
    """What a stage finds in a scan, cleaned by its components; arguments as of :func:`segment`."""
    mask = np.zeros(view.mask_grid.shape, np.uint8)
    for box, slabs in stage_probabilities(view, runtime, progress):
        write_labels(mask[box], on_probabilities(view.stage, box, slabs), view.stage.class_labels)
    return cleaned(view, mask)


def cleaned(view: StageView, mask: np.ndarray) -> StageMask:
    """``mask``, what a stage has found on its mask's grid, after the stage's components."""
    components = view.stage.components
    if components:  # to clean nothing takes a copy of the mask and a look at all of it
        mask = clean(mask, components, view.mask_voxel_ml)
    return StageMask(mask, view.mask_grid)


def result_mask(scan: Scan, recipe: Recipe, stages: Mapping[str, StageMask]) -> np.ndarray:
    """The result, (z, y, x) uint8 labels on the scan: masks of ``stages``, later ones over earlier ones, cleaned."""
    overlaid = reduce(
        lambda under, over: np.where(over > 0, over, under), [stages[name].mask for name in recipe.result_stages]
    )
    return clean(overlaid, recipe.components, scan.voxel_ml)


@contextmanager
def _timed(result: Result, name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        result.seconds[name] = result.seconds.get(name, 0.0) + time.perf_counter() - started
