"""Probabilities resampled slab by slab equal those resampled at once."""

import numpy as np
import pytest

from kidneyseg.inference.resample_probabilities import confine, resample_slabs, write_labels
from kidneyseg.volume.grid import Grid, sample


def cut(probabilities, *heights):
    first = 0
    for height in heights:
        yield first, probabilities[:, first : first + height]
        first += height
    assert first == probabilities.shape[1]


@pytest.mark.parametrize(
    "target",
    [
        Grid((60, 20, 16)),  # the scan, finer than the stage
        Grid((7, 8, 9), (0.5, 1.5, 0.25), (6.0, 2.5, 1.5)),  # coarser
        Grid((90, 30, 30), (-10, -4, -3)),  # reaches outside on every side
    ],
)
@pytest.mark.parametrize("heights", [(15,), (1,) * 15, (4, 7, 1, 3)])
def test_equals_resampling_at_once(target, heights):
    source = Grid((60, 20, 16)).resize((15, 10, 8))
    probabilities = np.random.default_rng(1).random((3, *source.shape), np.float32)
    expected = np.stack([sample(p, source, target, order=1) for p in probabilities])
    planes = list(resample_slabs(cut(probabilities, *heights), source, target))
    assert [first for first, _ in planes] == list(np.cumsum([0] + [p.shape[1] for _, p in planes])[:-1])
    np.testing.assert_allclose(np.concatenate([p for _, p in planes], axis=1), expected, atol=1e-6)


def test_same_grid_is_a_copy():
    grid = Grid((12, 5, 6), (3.0, 0.0, 0.0), (2.0, 1.5, 1.5))
    probabilities = np.random.default_rng(2).random((2, *grid.shape), np.float32)
    result = np.concatenate([p for _, p in resample_slabs(cut(probabilities, 5, 7), grid, grid)], axis=1)
    np.testing.assert_array_equal(result, probabilities)


def test_paint_writes_labels_and_leaves_background():
    mask = np.full((2, 1, 3), 9, np.uint8)
    probabilities = np.float32([[[0.8, 0.1, 0.1]], [[0.1, 0.7, 0.2]], [[0.1, 0.2, 0.7]]])  # (classes, y, x)
    write_labels(mask, iter([(1, probabilities[:, None])]), (0, 1, 4))
    np.testing.assert_array_equal(mask, [[[9, 9, 9]], [[9, 1, 4]]])


def test_paint_takes_the_first_of_the_most_probable_classes():
    rng = np.random.default_rng(3)
    probabilities = rng.integers(0, 4, (4, 5, 6, 7)).astype(np.float32)  # with many ties
    mask = np.zeros((5, 6, 7), np.uint8)
    write_labels(mask, cut(probabilities, 2, 3), (0, 1, 2, 3))
    np.testing.assert_array_equal(mask, probabilities.argmax(axis=0))


def test_confined_probabilities_paint_nothing_outside():
    rng = np.random.default_rng(4)
    probabilities, inside = rng.random((3, 9, 5, 6), np.float32), rng.random((9, 5, 6)) > 0.5
    open_, confined = np.zeros((2, 9, 5, 6), np.uint8)
    write_labels(open_, cut(probabilities, 4, 5), (0, 1, 2))
    write_labels(confined, confine(cut(probabilities, 4, 5), inside), (0, 1, 2))
    np.testing.assert_array_equal(confined, open_ * inside)
    assert open_[~inside].any()
