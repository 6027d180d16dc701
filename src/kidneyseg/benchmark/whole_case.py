"""One case from file to file by the rules of a recipe, the work itself left to an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from kidneyseg.benchmark.stopwatch import Stopwatch
from kidneyseg.inference.cascade import result_mask
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView, true_mask, view_stage
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.nifti import Scan, read_mask


class Engine(Protocol):
    """What reads a scan, runs a stage and writes a mask; it says itself what time its networks take.

    ``recipe`` is as its networks want it: exported graphs may normalise by themselves.
    """

    recipe: Recipe

    def read(self, image: Path) -> Scan: ...

    def stage_mask(self, view: StageView, watch: Stopwatch) -> StageMask: ...

    def write(self, out: Path, mask: np.ndarray, scan: Scan) -> None: ...


def segment_file(engine: Engine, image: Path, out: Path, regions: Path | None = None) -> Stopwatch:
    """Segment ``image`` into ``out``; regions and clean-up are the engine's recipe's, by the same code for all.

    Args:
        regions: a true mask. Stages look at its regions instead of those that the stages before them found; those
            run all the same. So networks with random weights have as much to do as trained ones.

    Returns:
        The time and memory of every part.
    """
    recipe, watch = engine.recipe, Stopwatch()
    with watch.part("read"):
        scan = engine.read(image)
    masks = _stage_masks(engine, scan, regions, watch)
    with watch.part("components"):
        mask = result_mask(scan, recipe, masks)
    with watch.part("write"):
        engine.write(out, mask, scan)
    return watch


def _stage_masks(engine: Engine, scan: Scan, regions: Path | None, watch: Stopwatch) -> dict[str, StageMask]:
    """The mask of every stage; the true mask, which a prediction would not hold, is held no longer than the stages need
    it."""
    recipe = engine.recipe
    masks: dict[str, StageMask] = {}
    truth = None if regions is None else read_mask(regions, recipe.merge)
    if truth is not None:
        truth.require_on(scan)
    for stage in recipe.stages:
        with watch.part(f"{stage.name}: region"):
            of = stage.region.of
            view = view_stage(scan, recipe, stage, None if of is None else masks.get(of))
        with watch.part(f"{stage.name}: resampling"):
            masks[stage.name] = engine.stage_mask(view, watch)
        if truth is not None and stage.name not in recipe.result_stages:
            masks[stage.name] = true_mask(view, truth.array)
    return masks


def network_part(stage: Stage) -> str:
    """The name of the part that is the network of ``stage`` alone."""
    return f"{stage.name}: network"
