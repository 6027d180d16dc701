from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.volume.windows import window_starts


def test_s0_grid_on_its_usual_volume():
    starts = window_starts((128, 248, 248), (80, 160, 160), (48, 44, 44))
    assert starts[0] == (0, 0, 0) and starts[-1] == (48, 88, 88)
    assert len(starts) == 2 * 3 * 3


@pytest.mark.parametrize("shape", [(7, 9, 30), (8, 8, 8), (3, 20, 8), (9, 17, 25)])
def test_cover_everything_once_listed_and_end_flush(shape):
    patch, stride = (8, 8, 8), (5, 8, 3)
    starts = window_starts(shape, patch, stride)
    covered = np.zeros(shape, bool)
    for start in starts:
        covered[tuple(slice(a, a + p) for a, p in zip(start, patch))] = True
        assert all(a + p <= max(n, p) for a, p, n in zip(start, patch, shape))
    assert covered.all() and len(set(starts)) == len(starts) and starts == sorted(starts)


def test_volume_smaller_than_the_patch_has_one_window_at_zero():
    assert window_starts((3, 4, 5), (8, 8, 8), (4, 4, 4)) == [(0, 0, 0)]


def test_any_number_of_axes():
    assert window_starts((10,), (4,), (4,)) == [(0,), (4,), (6,)]
