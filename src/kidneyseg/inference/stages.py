"""Running one stage of a recipe: what its network says of every part of a scan that it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kidneyseg.data.geometry import Part, StageMask, earlier_on, seen_image
from kidneyseg.inference.mirrors import mean_of_mirrors
from kidneyseg.inference.model import Runtime
from kidneyseg.inference.overlaps import Placed, merge_overlaps
from kidneyseg.inference.slabs import confine, resample_slabs
from kidneyseg.inference.slices import slice_slabs
from kidneyseg.inference.sliding import Slabs, sliding_slabs
from kidneyseg.recipe import Stage
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.intensity import moments, normalise
from kidneyseg.volume.nifti import Scan

Progress = Callable[[str, int], None]
"""Called with a stage's name and how many windows or slices its network has just done."""


def ignore_progress(stage: str, done: int) -> None:
    """Tell nobody."""


def stage_slabs(
    scan: Scan, stage: Stage, parts: Sequence[Part], grid: Grid, runtime: Runtime, *,
    earlier: StageMask | None = None, progress: Progress = ignore_progress,
) -> list[Placed]:
    """The probabilities of a stage, interpolated linearly to the voxels of its mask.

    Args:
        parts: what the stage sees of the scan, from :func:`kidneyseg.data.geometry.stage_parts`. Where their regions
            overlap the mean counts.
        grid: of the stage's mask, :func:`kidneyseg.data.geometry.mask_grid`.
        earlier: the mask of the stage that ``region.of`` names.

    Returns:
        Boxes of ``grid`` that share no voxel, each with its slabs, which are computed while they are taken. Outside
        the boxes, and where all classes are 0, there is background.
    """

    def slabs_of(part: Part) -> Slabs:
        slabs = seen_slabs(scan, stage, part, runtime, earlier=earlier, progress=progress)
        slabs = resample_slabs(slabs, part.seen, part.region)
        if stage.region.confined:
            slabs = confine(slabs, earlier_on(part.region, scan, stage, earlier))
        yield from slabs

    whole = [tuple(slice(0, n) for n in part.region.shape) for part in parts]
    placed = [(part.region.cover(box, grid), slabs_of(part)) for part, box in zip(parts, whole)]
    return merge_overlaps(placed, stage.classes)


def class_labels(stage: Stage) -> tuple[int, ...]:
    """The label written for each class, the background's first."""
    return (0, *(target[0] for target in stage.targets))


def seen_slabs(
    scan: Scan, stage: Stage, part: Part, runtime: Runtime, *,
    earlier: StageMask | None = None, progress: Progress = ignore_progress,
) -> Slabs:
    """The probabilities of a stage on the grid ``part.seen``: window by window, or slice by slice.

    Arguments as of :func:`stage_slabs`.
    """
    spec = stage.inference
    image = seen_image(scan, stage, part.seen, earlier)
    network = partial(_probabilities, runtime, stage, progress)
    if stage.dims == 2:
        return slice_slabs(image, network, spec.batch_size, stage.channels)
    return sliding_slabs(image, stage.window, spec.overlap, network, stage.classes, spec.batch_size,
                         spec.merge)


def _probabilities(runtime: Runtime, stage: Stage, progress: Progress, images: np.ndarray) -> np.ndarray:
    """(N, \\*S) or, of stacks, (N, channels, \\*S) uint8 -> (N, classes, \\*S) float32."""
    normalised = np.stack([normalise(image, *moments(image, stage.intensity)) for image in images])
    seen = normalised.reshape(len(images), stage.channels, *stage.window)
    probabilities = mean_of_mirrors(runtime, seen, stage.inference.mirrors)
    progress(stage.name, len(images))
    return probabilities
