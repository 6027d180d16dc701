"""Time and memory are counted for the part at work, and for no other."""

import mmap

import pytest

from kidneyseg.benchmark import stopwatch
from kidneyseg.benchmark.stopwatch import HIGH_WATER, Stopwatch


class Clock:
    """Time goes on when it is told to, and only then."""

    now = 100.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        return "answer"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_a_part_within_another_stops_that_ones_clock(clock):
    watch = Stopwatch()
    with watch.part("outer"):
        clock.sleep(1)
        for _ in range(2):
            assert watch.timed("inner", clock.sleep)(10) == "answer"
            clock.sleep(2)
    clock.sleep(100)
    with watch.part("after"):
        clock.sleep(3)
    assert watch.seconds == {"outer": 5, "inner": 20, "after": 3}
    assert set(watch.peak_mib) == set(watch.seconds)


def test_a_failing_part_is_left(clock):
    watch = Stopwatch()
    with watch.part("outer"):
        with pytest.raises(ValueError), watch.part("inner"):
            raise ValueError
        clock.sleep(1)
    assert watch.seconds == {"outer": 1, "inner": 0}


@pytest.mark.skipif(not HIGH_WATER.exists(), reason="no peak can be forgotten here")
def test_memory_that_is_given_back_counts_for_its_own_part_alone():
    watch = Stopwatch()
    with watch.part("small"):
        with watch.part("large"), mmap.mmap(-1, 2**26) as block:  # which no allocator keeps
            block[:: mmap.PAGESIZE] = b"1" * (2**26 // mmap.PAGESIZE)
    assert watch.peak_mib["large"] > watch.peak_mib["small"] + 50
