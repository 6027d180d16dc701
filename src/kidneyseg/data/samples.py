"""What a scan with its label gives a stage to learn from: patches on a grid, or the slices of kidney ROIs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kidneyseg.data.geometry import image_on, slice_grids, volume_grid
from kidneyseg.recipe import Recipe, Stage, Volumes
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.nifti import Scan
from kidneyseg.volume.roi import kidney_boxes
from kidneyseg.volume.windows import window_starts


@dataclass(frozen=True)
class Sample:
    """One training sample and where it was cut.

    Attributes:
        image: uint8, (z, y, x) of a 3-D stage's patch or (y, x) of a slice; 0 is air.
        label: uint8 class indices of the stage's targets, same shape.
        roi: number of the grid it was cut from, in the list that :func:`stage_samples` returns.
        start: its first voxel on that grid, (z, y, x).
    """

    image: np.ndarray
    label: np.ndarray
    roi: int
    start: tuple[int, int, int]

    @property
    def foreground(self) -> bool:
        """Whether it holds any target."""
        return bool(self.label.any())


def to_classes(label: np.ndarray, targets: Sequence[Sequence[int]]) -> np.ndarray:
    """Class indices (uint8, same shape) of a label mask: ``k + 1`` where the label is in ``targets[k]``, else 0."""
    table = np.zeros(256, np.uint8)
    for index, labels in enumerate(targets, start=1):
        table[list(labels)] = index
    return table[label]


def stage_samples(scan: Scan, label: np.ndarray, recipe: Recipe, stage: Stage) -> tuple[list[Grid], Iterator[Sample]]:
    """The grids that ``stage`` looks at in one scan, and the samples cut from them, one at a time.

    A 3-D stage has one grid, cut into overlapping patches, padded with air where it is smaller than one. A 2-D stage
    has one grid per kidney ROI of the label, and every slice of it is a sample.

    Args:
        scan: the CT in canonical orientation.
        label: its mask, (z, y, x) uint8, labels as the recipe names them.
    """
    own = Grid.of(scan.array)
    if isinstance(stage.sampling, Volumes):
        grids = [volume_grid(scan.array, scan.spacing, stage)]
    else:
        grids = [slices for _, slices in _label_rois(scan, label, recipe, stage)]

    def cut() -> Iterator[Sample]:
        for roi, grid in enumerate(grids):
            image = image_on(grid, scan.array, stage.intensity.clip)
            classes = to_classes(sample(label, own, grid, order=0), stage.targets)
            yield from _patches(image, classes, roi, stage)

    return grids, cut()


def _label_rois(scan: Scan, label: np.ndarray, recipe: Recipe, stage: Stage) -> list[tuple[Grid, Grid]]:
    """ROIs as inference would cut them from a perfect mask of the earlier stage."""
    earlier = recipe.stage(stage.region.of)
    earlier_grid = volume_grid(scan.array, scan.spacing, earlier)
    own = Grid.of(scan.array)
    found = to_classes(sample(label, own, earlier_grid, order=0), earlier.targets)
    boxes = kidney_boxes(found, stage.region.gap, stage.region.margin)
    return slice_grids(boxes, earlier_grid, own, stage.sampling.size)


def _patches(image: np.ndarray, classes: np.ndarray, roi: int, stage: Stage) -> Iterator[Sample]:
    """Every patch, or every slice, of one grid's ``image`` and ``classes``."""
    if not isinstance(stage.sampling, Volumes):
        for z, (pixels, labels) in enumerate(zip(image, classes)):
            yield Sample(pixels, labels, roi, (z, 0, 0))
        return
    patch = stage.sampling.patch
    missing = [(0, max(0, p - n)) for n, p in zip(image.shape, patch)]
    image, classes = np.pad(image, missing), np.pad(classes, missing)
    for start in window_starts(image.shape, patch, stage.sampling.stride):
        box = tuple(slice(a, a + p) for a, p in zip(start, patch))
        yield Sample(image[box], classes[box], roi, start)
