"""Running one stage of a recipe: the image on the stage's grids, its network over it, and the mask it yields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kidneyseg.data.geometry import image_on
from kidneyseg.inference.model import Runtime
from kidneyseg.inference.slabs import paint, resample_slabs
from kidneyseg.inference.slices import slice_slabs
from kidneyseg.inference.sliding import Slabs, sliding_slabs
from kidneyseg.recipe import Stage
from kidneyseg.volume.box import Box
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.intensity import normalise

Progress = Callable[[str, int], None]
"""Called with a stage's name and how many windows or slices its network has just done."""


def ignore_progress(stage: str, done: int) -> None:
    """Tell nobody."""


def run_volumes(
    hu: np.ndarray, grid: Grid, target: Grid, stage: Stage, runtime: Runtime, progress: Progress = ignore_progress
) -> np.ndarray:
    """The mask of a 3-D stage.

    Args:
        hu: the whole scan, (z, y, x), HU.
        grid: where the network sees it, from :func:`kidneyseg.data.geometry.volume_grid`.
        target: where the mask is wanted; probabilities are interpolated to it, so a mask on the scan is smooth.

    Returns:
        uint8 labels of ``target.shape``.
    """
    network = partial(_probabilities, runtime, stage, progress)
    image, spec = image_on(grid, hu, stage.intensity.clip), stage.inference
    slabs = sliding_slabs(image, stage.sampling.patch, spec.overlap, network, stage.classes, spec.batch_size)
    mask = np.zeros(target.shape, np.uint8)
    paint(mask, resample_slabs(slabs, grid, target), class_labels(stage))
    return mask


def run_slices(
    hu: np.ndarray, grids: Sequence[tuple[Grid, Grid]], stage: Stage, runtime: Runtime,
    progress: Progress = ignore_progress,
) -> np.ndarray:
    """The mask of a 2-D stage, on the scan; background outside the ROIs.

    Args:
        hu: the whole scan, (z, y, x), HU.
        grids: (ROI grid, slice grid) per ROI, from :func:`kidneyseg.data.geometry.slice_grids`. Where ROIs overlap
            the mean of their probabilities decides.

    Returns:
        uint8 labels of ``hu.shape``.
    """
    network = partial(_probabilities, runtime, stage, progress)
    mask = np.zeros(hu.shape, np.uint8)

    def roi_slabs(roi: Grid, slices: Grid) -> Slabs:
        slabs = slice_slabs(image_on(slices, hu, stage.intensity.clip), network, stage.inference.batch_size)
        return resample_slabs(slabs, slices, roi)

    for group in _overlapping([(_box(roi), roi, slices) for roi, slices in grids]):
        hull = _hull([box for box, _, _ in group])
        if len(group) == 1:
            slabs = roi_slabs(*group[0][1:])
        else:
            slabs = _summed([(box, roi_slabs(roi, slices)) for box, roi, slices in group], hull, stage.classes)
        paint(mask[hull], slabs, class_labels(stage))
    return mask


def class_labels(stage: Stage) -> tuple[int, ...]:
    """The label written for each class, the background's first."""
    return (0, *(target[0] for target in stage.targets))


def _probabilities(runtime: Runtime, stage: Stage, progress: Progress, images: np.ndarray) -> np.ndarray:
    """(N, *S) uint8 -> (N, classes, *S) float32."""
    probabilities = runtime(normalise(images, stage.intensity.mean, stage.intensity.std)[:, None])
    progress(stage.name, len(images))
    return probabilities


def _summed(parts: Sequence[tuple[Box, Slabs]], hull: Box, classes: int) -> Slabs:
    """The probabilities of overlapping ROIs, added up over the box around them: as good as a mean for an argmax."""
    sums = np.zeros((classes, *(b.stop - b.start for b in hull)), np.float32)
    for box, slabs in parts:
        z, y, x = (slice(b.start - h.start, b.stop - h.start) for b, h in zip(box, hull))
        for first, slab in slabs:
            start = z.start + first
            sums[:, start:start + slab.shape[1], y, x] += slab
    for plane in range(sums.shape[1]):
        yield plane, sums[:, plane:plane + 1]


def _overlapping(parts: list[tuple[Box, Grid, Grid]]) -> list[list[tuple[Box, Grid, Grid]]]:
    """``parts`` in groups: the boxes around two groups share no voxel."""
    groups: list[list[tuple[Box, Grid, Grid]]] = []
    for part in parts:
        group = [part]
        while touched := [g for g in groups if _meet(_hull([b for b, *_ in g]), _hull([b for b, *_ in group]))]:
            groups = [g for g in groups if g not in touched]
            group = [member for g in touched for member in g] + group
        groups.append(group)
    return groups


def _meet(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other))


def _hull(boxes: Sequence[Box]) -> Box:
    return tuple(slice(min(b.start for b in axis), max(b.stop for b in axis)) for axis in zip(*boxes))


def _box(roi: Grid) -> Box:
    """Where an ROI's grid, a crop of the scan, lies in the scan."""
    return tuple(slice(round(o), round(o) + n) for o, n in zip(roi.origin, roi.shape))
