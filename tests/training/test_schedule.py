import math

import pytest

from kidneyseg.recipe import Schedule
from kidneyseg.training.schedule import learning_rate

PLAN = Schedule(start=3e-4, peak=1e-3, end=1e-5, warmup=1500)


@pytest.mark.parametrize("step, expected", [
    (0, 3e-4), (750, 6.5e-4), (1500, 1e-3), (5750, 5.05e-4), (10000, 1e-5),
    (1500 + 8500 // 4, 1e-5 + 9.9e-4 * (1 + math.sqrt(0.5)) / 2),
])
def test_published_points(step, expected):
    assert learning_rate(step, 10001, PLAN) == pytest.approx(expected, rel=1e-9)


def test_rises_then_falls_without_jumps():
    rates = [learning_rate(step, 4000, PLAN) for step in range(4000)]
    assert rates[:1501] == sorted(rates[:1501]) and rates[1500:] == sorted(rates[1500:], reverse=True)
    assert max(abs(b - a) for a, b in zip(rates, rates[1:])) < 1e-6


def test_short_trainings():
    assert learning_rate(0, 1, Schedule(warmup=0)) == 1e-5
    assert learning_rate(9, 10, Schedule(start=1e-4, peak=1e-3, warmup=100)) == pytest.approx(1e-4 + 9e-4 * 0.09)
    assert learning_rate(0, 2, Schedule(warmup=0)) == 1e-3


def test_steps_outside_training():
    with pytest.raises(ValueError, match="step 10"):
        learning_rate(10, 10, PLAN)
