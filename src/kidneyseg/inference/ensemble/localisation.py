"""Where the models of an ensemble segment: the regions that their first stages find together.

The outlook of the CCF BDCI 2022 third-prize solution (MPLab): several coarse models find the kidneys together.
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

SURE = 255  # probability 1


@dataclass(frozen=True)
class Localisation:
    """Of one model, by the name of its first stage; all empty where no later stage looks at what that finds.

    Attributes:
        own: the mask that the stage finds.
        agreed: the mask of all together, on the same grid.
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
    """Run the first stages that later ones look at, and average those that look for the same labels.

    It holds, of the size of each one's mask, a byte per model and finder.

    Args:
        finders: more models, which look nowhere afterwards.
        merge: labels that count as another one.
        hooks: `on_probabilities` of `cascade.segment` for each model.
        progress: as there.

    Returns:
        Of each model, then of each finder, whose ``agreed`` is empty.
    """
    hooked = zip((*models, *finders), (*hooks, *(no_hook for _ in finders)))
    finds = [_find(scan, model, hook, progress) if _is_finder(model.recipe) else None for model, hook in hooked]
    localisations = []
    for number, find in enumerate(finds):
        if find is None:
            localisations.append(Localisation())
            continue
        name, agreed = find.view.stage.name, {}
        if number < len(models):
            alike = [one for one in finds if one and _sought(one.view.stage, merge) == _sought(find.view.stage, merge)]
            agreed = {name: _agreed(find, alike)}
        localisations.append(Localisation({name: find.own}, agreed, {name: find.seconds}))
    return localisations


def localise_the_same(one: Recipe, other: Recipe, merge: Mapping[int, int]) -> bool:
    """Whether both recipes have a first stage that finds regions, of the same labels once merged."""
    return _is_finder(one) and _is_finder(other) and _sought(one.stages[0], merge) == _sought(other.stages[0], merge)


@dataclass(frozen=True)
class _Find:
    """What a stage finds: its mask and, uint8 in units of 1 / 255 on the same grid, its probability."""

    view: StageView
    own: StageMask
    probability: np.ndarray
    seconds: float


def _is_finder(recipe: Recipe) -> bool:
    """Whether the first stage tells one thing from background and a later stage looks there."""
    first, *later = recipe.stages
    return first.classes == 2 and any(stage.region.of == first.name for stage in later)


def _sought(stage: Stage, merge: Mapping[int, int]) -> set[int]:
    return {merge.get(label, label) for target in stage.targets for label in target}


def _find(scan: Scan, model: Model, hook: ProbabilityHook, progress: Progress) -> _Find:
    started, stage = time.perf_counter(), model.recipe.stages[0]
    view = view_stage(scan, model.recipe, stage)
    probability = np.zeros(view.mask_grid.shape, np.uint8)

    def keep(stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
        kept = probability[box]
        for first, slab in hook(stage, box, slabs):
            total = np.maximum(slab.sum(axis=0), 1e-6)  # 0 where the stage says nothing, else about 1
            kept[first : first + slab.shape[1]] = np.rint(slab[1] * (SURE / total))
            yield first, slab

    own = stage_mask(view, model.runtimes[stage.name], progress, keep)
    return _Find(view, own, probability, time.perf_counter() - started)


def _agreed(find: _Find, alike: Sequence[_Find]) -> StageMask:
    """Where the mean of all probabilities, interpolated linearly to the find's grid, is above one half, cleaned."""
    grid = find.view.mask_grid
    total = np.zeros(grid.shape, np.uint16)
    for one in alike:
        total += sample(one.probability, one.view.mask_grid, grid, order=1)
    return cleaned(find.view, (total > SURE * len(alike) / 2) * np.uint8(find.view.stage.class_labels[1]))
