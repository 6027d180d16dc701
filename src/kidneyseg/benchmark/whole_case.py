"""One case from file to file by the rules of a recipe, the work itself left to an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kidneyseg.benchmark.parts import Parts
from kidneyseg.data.geometry import Part, StageMask, stage_parts
from kidneyseg.data.samples import true_mask
from kidneyseg.inference.cascade import painted_mask
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.nifti import Scan, read_mask


class Engine(Protocol):
    """What reads a scan, runs a stage and writes a mask; it says itself what time its networks take.

    ``recipe`` is as its networks want it: exported graphs may normalise by themselves.
    """

    recipe: Recipe

    def read(self, image: Path) -> Scan: ...

    def stage_mask(self, scan: Scan, stage: Stage, parts: Sequence[Part], earlier: StageMask | None,
                   watch: Parts) -> StageMask: ...

    def write(self, out: Path, mask: object, scan: Scan) -> None: ...


def segment_file(engine: Engine, image: Path, out: Path, regions: Path | None = None) -> Parts:
    """Segment ``image`` into ``out``; regions and clean-up are the engine's recipe's, by the same code for all.

    Args:
        regions: a true mask. Stages look at its regions instead of those that the stages before them found; those
            run all the same. So networks with random weights have as much to do as trained ones.

    Returns:
        The time and memory of every part.
    """
    recipe, watch = engine.recipe, Parts()
    with watch.part("read"):
        scan = engine.read(image)
    masks = _stage_masks(engine, scan, regions, watch)
    with watch.part("components"):
        mask = painted_mask(scan, recipe, masks)
    with watch.part("write"):
        engine.write(out, mask, scan)
    return watch


def _stage_masks(engine: Engine, scan: Scan, regions: Path | None, watch: Parts) -> dict[str, StageMask]:
    """The mask of every stage; the true mask, which a prediction would not hold, is held no longer than the stages need
    it."""
    recipe = engine.recipe
    masks: dict[str, StageMask] = {}
    truth = None if regions is None else read_mask(regions, recipe.merge)
    if truth is not None:
        truth.require_on(scan)
    for stage in recipe.stages:
        earlier = masks.get(stage.region.of)
        with watch.part(f"{stage.name}: region"):
            parts = stage_parts(scan, recipe, stage, earlier)
        with watch.part(f"{stage.name}: resampling"):
            masks[stage.name] = engine.stage_mask(scan, stage, parts, earlier, watch)
        if truth is not None and stage.name not in recipe.painted:
            masks[stage.name] = true_mask(scan, truth.array, recipe, stage)
    return masks


def network_part(stage: Stage) -> str:
    """The name of the part that is the network of ``stage`` alone."""
    return f"{stage.name}: network"
