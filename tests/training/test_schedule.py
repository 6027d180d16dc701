import math

import pytest

from kidneyseg.recipe import Schedule
from kidneyseg.training.schedule import learning_rate

PLAN = Schedule(start=3e-4, peak=1e-3, end=1e-5, warmup=1500)


@pytest.mark.parametrize(
    "step, expected",
    [
        (0, 3e-4),
        (750, 6.5e-4),
        (1500, 1e-3),
        (5750, 5.05e-4),
        (10000, 1e-5),
        (1500 + 8500 // 4, 1e-5 + 9.9e-4 * (1 + math.sqrt(0.5)) / 2),
    ],
)
def test_published_points(step, expected):
    assert learning_rate(step, 73, 137, PLAN) == pytest.approx(expected, rel=1e-9)


def test_rises_then_falls_without_jumps():
    rates = [learning_rate(step, 40, 100, PLAN) for step in range(4000)]
    assert rates[:1501] == sorted(rates[:1501]) and rates[1500:] == sorted(rates[1500:], reverse=True)
    assert max(abs(b - a) for a, b in zip(rates, rates[1:])) < 1e-6


def test_short_trainings():
    assert learning_rate(0, 1, 1, Schedule(warmup=0)) == 1e-5
    assert learning_rate(9, 5, 2, Schedule(start=1e-4, peak=1e-3, warmup=100)) == pytest.approx(1e-4 + 9e-4 * 0.09)
    assert learning_rate(0, 1, 2, Schedule(warmup=0)) == 1e-3


def test_steps_outside_training():
    with pytest.raises(ValueError, match="step 10"):
        learning_rate(10, 5, 2, PLAN)


def test_exponential_falls_after_every_epoch():
    plan = Schedule(kind="exponential", peak=5e-4, end=0, warmup=0, factor=0.985)  # two-stage 3-D solution of KiTS19
    rates = [learning_rate(step, 7, 200, plan) for step in range(1400)]
    assert rates == pytest.approx([5e-4 * 0.985 ** (step // 7) for step in range(1400)], rel=1e-9)


def test_exponential_begins_at_the_peak_after_warm_up_and_stops_at_its_end():
    plan = Schedule(kind="exponential", start=1e-4, peak=1e-3, end=2e-4, warmup=5, factor=0.5)
    rates = [learning_rate(step, 10, 6, plan) for step in range(60)]
    assert rates[:5] == pytest.approx([1e-4 + 9e-4 * step / 5 for step in range(5)])
    assert rates[5:15] == [1e-3] * 10 and rates[15:25] == [5e-4] * 10 and rates[35:] == [2e-4] * 25


def test_constant():
    plan = Schedule(kind="constant", start=1e-4, peak=1e-3, warmup=2)
    assert [learning_rate(step, 3, 2, plan) for step in range(6)] == pytest.approx([1e-4, 5.5e-4] + [1e-3] * 4)
