"""Inference of a whole recipe on one scan: all stages in order, each on the scan or on the ROIs of an earlier stage."""

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
"""Gets a stage, a box of its mask's grid and the probabilities in this box; must return the probabilities unchanged."""


def no_hook(stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
    """Return ``slabs`` as they are."""
    return slabs


@dataclass
class Result:
    """The segmentation of a scan.

    Attributes:
        mask: (z, y, x) uint8 labels on the scan.
        stages: stage name -> mask of the stage: labels, cleaned by the stage's components.
        rois: stage name -> ROIs, as crops of the scan's grid, for every stage with ``region.of``.
        seconds: wall time of each stage and of the final clean-up ("components").
        disagreement: only of an ensemble: (z, y, x) uint8, percent of the models whose own label is not the
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
    """Segment ``scan`` with all stages of a recipe.

    Warns if the mask is implausible, for example empty. Memory besides the scan: its masks and the current region as
    uint8, and the current windows or slices as float; there is never a float copy of the scan.

    Args:
        scan: HU in canonical orientation.
        recipe: the recipe.
        runtimes: stage name -> runtime of its network.
        oracle: true mask, (z, y, x) labels on the scan. The ROIs are then cut from it instead of from the earlier
            stage's mask, to evaluate a stage alone, as in Table 2 of the CCF BDCI 2022 third-prize solution (MPLab).
            Stages that only give ROIs to later stages do not run.
        found: stage name -> mask, for stages that need not run.
        progress: called after every batch with the stage's name and the number of windows or slices in the batch.
        on_probabilities: called with the probabilities of every stage.

    Raises:
        ValueError: ``oracle`` does not have the shape of the scan.
    """
    if oracle is not None and oracle.shape != scan.array.shape:
        raise ValueError(f"true mask of shape {oracle.shape} does not fit a scan of shape {scan.array.shape}")
    result = Result(np.zeros(scan.array.shape, np.uint8), stages=dict(found or {}))
    masks = result.stages if oracle is None else {}  # masks that define the ROIs
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
    """Warn of everything that is implausible in the result ``mask`` of ``scan``."""
    for doubt in result_doubts(mask, scan.voxel_ml):
        warnings.warn(f"{scan.path}: {doubt}", stacklevel=3)


def stage_mask(
    view: StageView, runtime: Runtime, progress: Progress = ignore_progress, on_probabilities: ProbabilityHook = no_hook
) -> StageMask:
    """Segment a scan with one stage and clean the mask by its components; arguments as for :func:`segment`."""
    mask = np.zeros(view.mask_grid.shape, np.uint8)
    for box, slabs in stage_probabilities(view, runtime, progress):
        write_labels(mask[box], on_probabilities(view.stage, box, slabs), view.stage.class_labels)
    return cleaned(view, mask)


def cleaned(view: StageView, mask: np.ndarray) -> StageMask:
    """Clean ``mask``, a stage's mask on ``view.mask_grid``, by the stage's components."""
    components = view.stage.components
    if components:  # without components, cleaning would still copy and read the whole mask
        mask = clean(mask, components, view.mask_voxel_ml)
    return StageMask(mask, view.mask_grid)


def result_mask(scan: Scan, recipe: Recipe, stages: Mapping[str, StageMask]) -> np.ndarray:
    """Write the result stages' masks over each other, in order, and clean the whole: (z, y, x) uint8 on the scan."""
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
