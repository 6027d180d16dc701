"""Inference of one stage of a recipe: the probabilities of its network, region by region."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from kidneyseg.inference.mirroring import mean_of_mirrors
from kidneyseg.inference.overlapping_regions import Placed, merge_overlaps
from kidneyseg.inference.resample_probabilities import confine, resample_slabs
from kidneyseg.inference.slice_by_slice import slice_slabs
from kidneyseg.inference.sliding_window import ProbabilitySlabs, sliding_slabs
from kidneyseg.preprocessing.stage_view import RegionView, StageView
from kidneyseg.recipe import Stage
from kidneyseg.runtime.base import Runtime
from kidneyseg.volume.intensity import moments, normalise

Progress = Callable[[str, int], None]
"""Called with a stage's name and the number of windows or slices in the batch that its network has just computed."""


def ignore_progress(stage: str, done: int) -> None:
    """Do nothing."""


def stage_probabilities(view: StageView, runtime: Runtime, progress: Progress = ignore_progress) -> list[Placed]:
    """Compute the probabilities of a stage, interpolated linearly to the voxels of its mask.

    In the overlap of regions the probabilities are averaged.

    Returns:
        Boxes of ``view.mask_grid`` without overlap, each with its slabs, which are computed only when they are read.
        Voxels outside the boxes, and voxels whose classes are all 0, are background.
    """

    def slabs_of(region: RegionView) -> ProbabilitySlabs:
        slabs = region_probabilities(view, region, runtime, progress)
        slabs = resample_slabs(slabs, region.input_grid, region.mask_grid)
        if view.stage.region.confined:
            slabs = confine(slabs, view.previous_on(region.mask_grid))
        yield from slabs

    placed = [
        (region.mask_grid.cover([slice(0, n) for n in region.mask_grid.shape], view.mask_grid), slabs_of(region))
        for region in view.regions
    ]
    return merge_overlaps(placed, view.stage.classes)


def region_probabilities(
    view: StageView, region: RegionView, runtime: Runtime, progress: Progress = ignore_progress
) -> ProbabilitySlabs:
    """Compute the probabilities of a region on the grid of the network's input, by sliding window or slice by slice."""
    stage, image = view.stage, view.image(region.input_grid)
    network = partial(_probabilities, runtime, stage, progress)
    settings = stage.inference
    if stage.dims == 2:
        return slice_slabs(image, network, settings.batch_size, stage.channels)
    return sliding_slabs(
        image, stage.window, settings.overlap, network, stage.classes, settings.batch_size, settings.merge
    )


def _probabilities(runtime: Runtime, stage: Stage, progress: Progress, images: np.ndarray) -> np.ndarray:
    """Normalise uint8 images, (N, \\*S) or stacks (N, channels, \\*S), and return (N, classes, \\*S) float32."""
    normalised = np.stack([normalise(image, *moments(image, stage.intensity)) for image in images])
    batch = normalised.reshape(len(images), stage.channels, *stage.window)
    probabilities = mean_of_mirrors(runtime, batch, stage.inference.mirrors)
    progress(stage.name, len(images))
    return probabilities
