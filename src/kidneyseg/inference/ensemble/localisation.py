"""Localisation in an ensemble: the first stages of all models together locate the regions for the later stages.

This follows the outlook of the CCF BDCI 2022 third-prize solution (MPLab): an ensemble of coarse models for the
kidneys.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kidneyseg.inference.cascade import ProbabilityHook, cleaned, no_hook, stage_mask
from kidneyseg.inference.model import Model
from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.inference.stage import Progress
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView, view_stage
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.box import Box
from kidneyseg.volume.grid import sample
from kidneyseg.volume.nifti import Scan

ONE = 255  # represents probability 1


@dataclass(frozen=True)
class Localisation:
    """Localisation of one model. All mappings have the name of its first stage as key, or are empty without one.

    Attributes:
        own: mask of the model's own first stage.
        agreed: mask from the mean probability of all models, on the same grid.
        seconds: wall time of the stage.
    """

    own: Mapping[str, StageMask] = field(default_factory=dict)
    agreed: Mapping[str, StageMask] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def localise_together(
    scan: Scan,
    models: Sequence[Model],
    finders: Sequence[Model],
    merge: Mapping[int, int],
    hooks: Sequence[ProbabilityHook],
    progress: Progress,
) -> list[Localisation]:
    """Run the first stages that localise regions for later stages, and average those that localise the same labels.

    Memory: one byte per voxel of each first stage's mask, for all models and finders.

    Args:
        scan: the scan.
        models: the models of the ensemble.
        finders: more models, which take part only in the localisation.
        merge: label -> the label that it is counted as.
        hooks: ``on_probabilities`` of ``cascade.segment`` for each model.
        progress: as for ``cascade.segment``.

    Returns:
        The localisation of each model, then of each finder; ``agreed`` of the finders is empty.
    """
    hooked = zip((*models, *finders), (*hooks, *(no_hook for _ in finders)))
    outputs = [_run(scan, model, hook, progress) if _localises(model.recipe) else None for model, hook in hooked]
    localisations = []
    for number, output in enumerate(outputs):
        if output is None:
            localisations.append(Localisation())
            continue
        stage, agreed = output.view.stage, {}
        if number < len(models):
            same = [one for one in outputs if one and _labels(one.view.stage, merge) == _labels(stage, merge)]
            agreed = {stage.name: _agreed(output, same)}
        localisations.append(Localisation({stage.name: output.own}, agreed, {stage.name: output.seconds}))
    return localisations


def localise_the_same(one: Recipe, other: Recipe, merge: Mapping[int, int]) -> bool:
    """Tell whether the first stages of both recipes localise regions of the same labels, after ``merge``."""
    return _localises(one) and _localises(other) and _labels(one.stages[0], merge) == _labels(other.stages[0], merge)


@dataclass(frozen=True)
class _Output:
    """Output of a first stage: mask and, on the same grid, foreground probability, uint8 in units of 1 / 255."""

    view: StageView
    own: StageMask
    probability: np.ndarray
    seconds: float


def _localises(recipe: Recipe) -> bool:
    """Tell whether the first stage has one foreground class and a later stage uses its regions."""
    first, *later = recipe.stages
    return first.classes == 2 and any(stage.region.of == first.name for stage in later)


def _labels(stage: Stage, merge: Mapping[int, int]) -> set[int]:
    """Return the labels of the stage's targets, after ``merge``."""
    return {merge.get(label, label) for target in stage.targets for label in target}


def _run(scan: Scan, model: Model, hook: ProbabilityHook, progress: Progress) -> _Output:
    """Run the first stage of ``model``."""
    started, stage = time.perf_counter(), model.recipe.stages[0]
    view = view_stage(scan, model.recipe, stage)
    probability = np.zeros(view.mask_grid.shape, np.uint8)

    def keep(stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
        kept = probability[box]
        for first, slab in hook(stage, box, slabs):
            total = np.maximum(slab.sum(axis=0), 1e-6)  # the sum is 0 where the stage has no prediction, else about 1
            kept[first : first + slab.shape[1]] = np.rint(slab[1] * (ONE / total))
            yield first, slab

    own = stage_mask(view, model.runtimes[stage.name], progress, keep)
    return _Output(view, own, probability, time.perf_counter() - started)


def _agreed(output: _Output, same: Sequence[_Output]) -> StageMask:
    """Threshold the mean of all probabilities, interpolated linearly to the output's grid, at 0.5; clean the mask."""
    grid = output.view.mask_grid
    total = np.zeros(grid.shape, np.uint16)
    for one in same:
        total += sample(one.probability, one.view.mask_grid, grid, order=1)
    return cleaned(output.view, (total > ONE * len(same) / 2) * np.uint8(output.view.stage.class_labels[1]))
