"""Training samples of a stage: patches or slices cut from the regions of a labelled scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kidneyseg.preprocessing.class_codes import class_table
from kidneyseg.preprocessing.stage_view import StageView
from kidneyseg.recipe import SlabSampling, Stage, VolumeSampling
from kidneyseg.recipe.sampling import Sampling
from kidneyseg.volume.axes import PerAxis, per_axis
from kidneyseg.volume.box import widen
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.windows import window_starts


@dataclass(frozen=True)
class Sample:
    """One training sample and its position.

    Attributes:
        image: uint8, (z, y, x) for a patch or (y, x) for a slice; 0 is air. For stacks of slices, too, each slice of a
            grid is one sample, in order.
        label: uint8 class indices of the stage's targets, or codes of ``preprocessing.class_codes``; same shape.
        roi: index of its grid in the list that :func:`stage_samples` returns.
        start: its first voxel on that grid, (z, y, x).
    """

    image: np.ndarray
    label: np.ndarray
    roi: int
    start: PerAxis[int]

    @property
    def foreground(self) -> bool:
        """Whether it contains any target."""
        return bool(self.label.any())


def stage_samples(
    view: StageView, label: np.ndarray, uncertain: Mapping[int, Sequence[int]] | None = None
) -> tuple[list[Grid], Iterator[Sample]]:
    """Cut the training samples of a stage from one scan.

    A 3-D stage cuts overlapping patches from each grid; a grid smaller than a patch is padded with air. A 2-D stage
    uses every slice as a sample. A scan of a single slice gives no samples for a 3-D stage.

    Args:
        view: view of the stage with the true masks as results of the earlier stages, see ``true_views``.
        label: mask of the scan, (z, y, x) uint8, with the recipe's labels.
        uncertain: label -> the labels of which it may be any.

    Returns:
        The grids of the regions, and the samples, cut one at a time.
    """
    stage = view.stage
    if stage.dims == 3 and view.scan.array.shape[0] == 1:
        return [], iter(())
    grids = [region.input_grid for region in view.regions]
    table = class_table(stage.targets, uncertain)

    def cut() -> Iterator[Sample]:
        for roi, grid in enumerate(grids):
            image = view.image(grid)
            classes = table[sample(label, Grid.of(label), grid, order=0)]
            yield from _slices(image, classes, roi) if stage.dims == 2 else _windows(image, classes, roi, stage)

    return grids, cut()


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
    """List the first corners of the patches of one grid; ``classes`` is at least as large as a patch on every axis."""
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
    """List (first slice, number of slices) of the runs of slices near a target, which are cut into slabs.

    A run that is shorter than a slab is extended to the length of a slab.
    """
    if sampling.near is None:
        return [(0, len(classes))]
    held = np.flatnonzero(classes.any(axis=(1, 2)))
    pieces = np.split(held, np.flatnonzero(np.diff(held) > 2 * sampling.near + 1) + 1) if held.size else []
    near = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces]
    wide = [widen((run,), [len(classes)], sampling.near, sampling.slices)[0] for run in near]
    return [(run.start, run.stop - run.start) for run in wide]
