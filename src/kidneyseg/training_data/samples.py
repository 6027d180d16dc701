"""What a scan with its label gives a stage to learn from: volumes or slices of the parts it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kidneyseg.preprocessing.class_codes import class_table
from kidneyseg.preprocessing.regions import input_grid
from kidneyseg.preprocessing.stage_view import StageView
from kidneyseg.recipe import SlabSampling, Stage, VolumeSampling
from kidneyseg.recipe.sampling import Sampling
from kidneyseg.volume.axes import PerAxis, per_axis
from kidneyseg.volume.body import body_box
from kidneyseg.volume.box import widen
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.windows import window_starts


@dataclass(frozen=True)
class Sample:
    """One training sample and where it was cut.

    Attributes:
        image: uint8, (z, y, x) of a 3-D stage's window or (y, x) of one slice; 0 is air. The neighbours that a stage
            of stacks sees with a slice are samples of their own: all slices of a grid are, in order.
        label: uint8 class indices of the stage's targets, or codes as `preprocessing.class_codes` has them, same shape.
        roi: number of the grid it was cut from, in the list that :func:`stage_samples` returns.
        start: its first voxel on that grid, (z, y, x).
    """

    image: np.ndarray
    label: np.ndarray
    roi: int
    start: PerAxis[int]

    @property
    def foreground(self) -> bool:
        """Whether it holds any target."""
        return bool(self.label.any())


def stage_samples(
    view: StageView, label: np.ndarray, uncertain: Mapping[int, Sequence[int]] | None = None
) -> tuple[list[Grid], Iterator[Sample]]:
    """The grids that a stage sees of one scan, and the samples cut from them, one at a time.

    A 3-D stage cuts each grid into overlapping windows, padded with air where it is smaller than one. Of a 2-D stage
    every slice is a sample. The grids of ``region.negatives`` follow those of the regions. A single slice has nothing
    to teach a 3-D stage.

    Args:
        view: of the stage after perfect ones, see `true_views`.
        label: the mask of the scan, (z, y, x) uint8, labels as the recipe names them.
        uncertain: labels of it that stand for one of several.
    """
    stage = view.stage
    if stage.dims == 3 and view.scan.array.shape[0] == 1:
        return [], iter(())
    grids = [region.input_grid for region in view.regions] + [
        input_grid(region, view.scan.spacing, stage.sampling) for region in negative_regions(view)
    ]
    table = class_table(stage.targets, uncertain)

    def cut() -> Iterator[Sample]:
        for roi, grid in enumerate(grids):
            image = view.image(grid)
            classes = table[sample(label, Grid.of(label), grid, order=0)]
            yield from _slices(image, classes, roi) if stage.dims == 2 else _windows(image, classes, roi, stage)

    return grids, cut()


def negative_regions(view: StageView) -> list[Grid]:
    """For each region, ``region.negatives`` crops of the scan of its size at random places of the body.

    The same for the same view. A region that is larger than the body along an axis begins where that does.
    """
    count, regions = view.stage.region.negatives, [region.mask_grid for region in view.regions]
    if not (count and regions):
        return []
    own, body = Grid.of(view.scan.array), body_box(view.scan.array)
    rng = np.random.default_rng([int(n) for region in regions for n in (*region.shape, *region.origin)])
    boxes = [
        tuple(
            slice(first := int(rng.integers(part.start, max(part.start, part.stop - size) + 1)), min(first + size, n))
            for part, size, n in zip(body, region.shape, own.shape)
        )
        for region in regions
        for _ in range(count)
    ]
    return [own.crop(box) for box in boxes]


def _slices(image: np.ndarray, classes: np.ndarray, roi: int) -> Iterator[Sample]:
    for z, (pixels, labels) in enumerate(zip(image, classes)):
        yield Sample(pixels, labels, roi, (z, 0, 0))


def _windows(image: np.ndarray, classes: np.ndarray, roi: int, stage: Stage) -> Iterator[Sample]:
    window = stage.sampling.window
    missing = [(0, max(0, w - n)) for n, w in zip(image.shape, window)]
    image, classes = np.pad(image, missing), np.pad(classes, missing)
    for start in _starts(classes, stage.sampling):
        box = tuple(slice(a, a + w) for a, w in zip(start, window))
        yield Sample(image[box], classes[box], roi, per_axis(start))


def _starts(classes: np.ndarray, sampling: Sampling) -> list[tuple[int, ...]]:
    """First corners of the windows cut from one grid's ``classes``, which is nowhere smaller than a window."""
    if isinstance(sampling, SlabSampling):
        return [
            (first + z, y, x)
            for first, depth in _runs(classes, sampling)
            for z, y, x in window_starts(
                (depth, *classes.shape[1:]), sampling.window, (sampling.stride, *sampling.size)
            )
        ]
    stride = sampling.stride if isinstance(sampling, VolumeSampling) else sampling.window
    return window_starts(classes.shape, sampling.window, stride)


def _runs(classes: np.ndarray, sampling: SlabSampling) -> list[tuple[int, int]]:
    """(first slice, slices) of the runs of slices that are near enough to a target to be cut into slabs.

    A run that is shorter than a slab is widened to one.
    """
    if sampling.near is None:
        return [(0, len(classes))]
    held = np.flatnonzero(classes.any(axis=(1, 2)))
    pieces = np.split(held, np.flatnonzero(np.diff(held) > 2 * sampling.near + 1) + 1) if held.size else []
    near = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces]
    wide = [widen((run,), [len(classes)], sampling.near, sampling.slices)[0] for run in near]
    return [(run.start, run.stop - run.start) for run in wide]
