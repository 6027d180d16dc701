from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.training_data.sampler import epoch_order


def draw(foreground, count, share, seed=0, **more):
    return epoch_order(np.array(foreground, bool), count, share, np.random.default_rng(seed), **more)


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


def test_weighted_samples_come_in_proportion_and_shuffled():
    weights = np.array([1.0, 1, 2, 4, 0.5])
    order = draw([True] * 5, 1000, None, weights=weights)
    expected = 1000 * weights / weights.sum()
    times = np.bincount(order, minlength=5)
    assert len(order) == 1000 and (np.floor(expected) <= times).all() and (times <= np.ceil(expected)).all()
    for half in (order[:500], order[500:]):
        assert np.abs(np.bincount(half, minlength=5) - expected / 2).max() < 50


def test_a_sample_of_small_weight_comes_as_often_as_it_should_on_average():
    weights = np.array([1.0, 10, 10, 10])
    times = sum(np.bincount(draw([True] * 4, 4, None, seed, weights=weights), minlength=4) for seed in range(3000))
    np.testing.assert_allclose(times / 12000, weights / 31, rtol=0.08)


def test_weights_count_within_each_kind():
    foreground = np.arange(100) < 20
    weights = np.where(np.arange(100) % 2, 3.0, 1.0)
    times = np.bincount(draw(foreground, 800, 0.5, weights=weights), minlength=100)
    for kind in (foreground, ~foreground):
        assert times[kind].sum() == 400
        expected = 400 * weights[kind] / weights[kind].sum()
        assert (np.floor(expected) <= times[kind]).all() and (times[kind] <= np.ceil(expected)).all()


def test_the_mined_share_follows_the_losses_and_the_rest_does_not():
    losses = np.array([0.0, 1, 3, np.nan])  # the one never seen counts as the mean of the others, 4 / 3
    times = np.bincount(draw([True] * 4, 1600, None, losses=losses, mine=0.5), minlength=4)
    expected = 200 + 800 * np.array([0, 1, 3, 4 / 3]) / (16 / 3)
    np.testing.assert_allclose(times, expected, atol=1)
    weighted = draw([True] * 4, 1600, None, losses=losses, mine=1.0, weights=np.array([1.0, 3, 1, 1]))
    expected = 1600 * np.array([0, 3, 3, 4 / 3]) / (22 / 3)
    np.testing.assert_allclose(np.bincount(weighted, minlength=4), expected, atol=1)


def test_mining_leaves_the_share_of_targets_to_the_others():
    foreground = np.arange(100) < 10
    order = draw(foreground, 400, 0.5, losses=np.where(foreground, 0.0, 1.0), mine=0.25)
    assert foreground[order].sum() == 150
    assert abs(foreground[order[:200]].sum() - 75) < 25  # mined samples are spread among the others


@pytest.mark.parametrize("losses", [np.full(6, np.nan), np.zeros(6), np.array([np.nan, 0, -1e-7, 0, 0, 0])])
def test_without_losses_nothing_is_mined(losses):
    plain = draw([True, False] * 3, 6, None)
    assert (draw([True, False] * 3, 6, None, losses=losses, mine=0.5) == plain).all()
