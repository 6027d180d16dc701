"""Segmentation of one case from file to file by the rules of a recipe, with an engine for the computation."""

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
    """An engine reads a scan, runs a stage and writes a mask. It measures the time of its networks.

    ``recipe`` is adapted to its networks, because exported graphs may normalise the image themselves.
    """

    recipe: Recipe

    def read(self, image: Path) -> Scan: ...

    def stage_mask(self, view: StageView, watch: Stopwatch) -> StageMask: ...

    def write(self, out: Path, mask: np.ndarray, scan: Scan) -> None: ...


def segment_file(engine: Engine, image: Path, out: Path, regions: Path | None = None) -> Stopwatch:
    """Segment ``image`` and write ``out``; regions and clean-up are computed by the same code for all engines.

    Args:
        engine: the engine.
        image: the scan.
        out: mask to write.
        regions: a true mask, from which the ROIs are taken instead of from the earlier stages' predictions. The earlier
            stages run nevertheless. So networks with random weights have as much to compute as trained ones.

    Returns:
        Time and memory of every part.
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
    """Compute the mask of every stage.

    The true mask is freed on return, because a normal prediction does not need this memory.
    """
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
    """Return the name of the part with only the network of ``stage``."""
    return f"{stage.name}: network"
