from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.data.sampler import epoch_order


def draw(foreground, count, share, seed=0):
    return epoch_order(np.array(foreground, bool), count, share, np.random.default_rng(seed))


def test_every_sample_once_and_shuffled_when_nothing_is_asked():
    order = draw([True, False] * 50, 100, None)
    assert sorted(order) == list(range(100)) and list(order) != list(range(100))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_foreground_share_is_met_and_spread(share):
    foreground = np.arange(1000) < 50
    picked = foreground[draw(foreground, 400, share)]
    assert picked.sum() == round(400 * share)
    if 0 < share < 1:
        assert abs(picked[:200].sum() - picked[200:].sum()) < 60


def test_nothing_repeats_before_all_of_its_kind_have_come():
    foreground = np.arange(10) < 4
    times = np.bincount(draw(foreground, 30, 0.5), minlength=10)
    assert set(times[:4]) <= {3, 4} and times[:4].sum() == 15
    assert set(times[4:]) <= {2, 3} and times[4:].sum() == 15


@pytest.mark.parametrize("foreground", [[True] * 5, [False] * 5])
def test_a_missing_kind_is_filled_by_the_other(foreground):
    order = draw(foreground, 10, 0.5)
    assert sorted(order) == sorted(list(range(5)) * 2)


def test_same_generator_state_same_order():
    assert (draw([True, False] * 20, 25, 0.7, 4) == draw([True, False] * 20, 25, 0.7, 4)).all()
    assert (draw([True, False] * 20, 25, 0.7, 4) != draw([True, False] * 20, 25, 0.7, 5)).any()
