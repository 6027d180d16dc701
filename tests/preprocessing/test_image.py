"""A scan as the 8-bit image that a network sees, on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.preprocessing.image import image_on, stack_slices
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8


def test_a_stack_is_its_neighbours_and_the_last_slice_is_repeated():
    assert stack_slices(4, 1).tolist() == [[0], [1], [2], [3]]
    assert stack_slices(4, 5).tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]]
    assert stack_slices(1, 3).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    "box",
    [
        (slice(3, 9), slice(10, 25), slice(0, 17)),  # at the scan's border
        (slice(4, 8), slice(6, 21), slice(5, 30)),
        (slice(-2, 4), slice(20, 44), slice(8, 12)),  # reaches outside
    ],
)
@pytest.mark.parametrize("size", [(7, 9), (32, 64)])
@pytest.mark.parametrize("piece", [1 << 24, 2500, 1])
def test_the_image_on_a_grid_is_that_of_the_whole_scan(box, size, piece, monkeypatch):
    monkeypatch.setattr("kidneyseg.preprocessing.image.PIECE", piece)
    hu = np.random.default_rng(3).integers(-200, 400, (12, 36, 36)).astype(np.int16)
    grid = Grid.of(hu).crop(box)
    grid = grid.resize((2 * grid.shape[0] - 1, *size))
    whole = sample(to_uint8(hu, (-79, 304)), Grid.of(hu), grid, order=1)
    np.testing.assert_array_equal(image_on(grid, hu, (-79, 304)), whole)


def test_only_the_part_under_the_grid_is_converted(monkeypatch):
    seen = []

    def spy(hu, clip):
        seen.append(hu.shape)
        return to_uint8(hu, clip)

    monkeypatch.setattr("kidneyseg.preprocessing.image.to_uint8", spy)
    image_on(Grid((4, 64, 64), (10, 100, 100), (1, 0.5, 0.5)), np.zeros((50, 256, 256), np.int16), (-79, 304))
    assert np.less_equal(seen, (6, 36, 36)).all() and len(seen) == 1


def test_memory_for_a_grid_larger_than_the_scan_is_bounded(monkeypatch):
    """An image at finer slices than the scan's own: floats of a piece at a time, beside the 8-bit image itself."""
    tracemalloc = pytest.importorskip("tracemalloc")
    monkeypatch.setattr("kidneyseg.preprocessing.image.PIECE", 1 << 18)
    hu = np.zeros((64, 128, 128), np.int16)
    grid = Grid.of(hu).resize((320, 128, 128))
    tracemalloc.start()
    image = image_on(grid, hu, (-79, 304))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * image.nbytes
