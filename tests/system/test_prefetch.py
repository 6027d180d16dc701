"""Values read prefetch and written write_behind: in order, one prefetch and no more, errors where they belong."""

import gc
import threading
import time
import weakref

import pytest

from kidneyseg.system.prefetch import prefetch, write_behind


class Value:
    def __init__(self, item):
        self.item = item


def test_the_next_is_read_while_this_one_is_used_and_no_other():
    started = {item: threading.Event() for item in range(4)}

    def read(item):
        started[item].set()
        return item * 10

    for item, value in prefetch(read, range(4)):
        assert value() == item * 10
        assert item == 3 or started[item + 1].wait(10)
        time.sleep(0.02)
        assert not any(started[later].is_set() for later in range(item + 2, 4))


def test_an_error_is_raised_where_its_value_is_asked_for():
    seen = []
    for _, value in prefetch(lambda item: 1 / item, [1, 0, 2]):
        try:
            seen.append(value())
        except ZeroDivisionError:
            seen.append("error")
    assert seen == [1, "error", 0.5]
    assert list(prefetch(str, [])) == []


def test_values_are_let_go():
    alive = weakref.WeakSet()

    def read(item):
        value = Value(item)
        alive.add(value)
        return value

    most = 0
    for item, value in prefetch(read, range(6)):
        assert value().item == item
        gc.collect()
        most = max(most, len(alive))
    assert 1 <= most <= 2


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with pytest.raises(KeyError):
        for item, _ in prefetch(str, "abc"):
            raise KeyError(item)
    gc.collect()
    assert threading.active_count() == before


def test_one_is_written_while_the_next_is_computed():
    writing, computing = threading.Event(), threading.Event()

    def write(item, value):
        if item == 0:
            writing.set()
            assert computing.wait(10)
        return f"{item}: {value}"

    def values():
        for item in range(3):

            def value(item=item):
                if item == 1:
                    assert writing.wait(10)
                    computing.set()
                return item * 10

            yield item, value

    assert [(item, written()) for item, written in write_behind(write, values())] == [
        (0, "0: 0"),
        (1, "1: 10"),
        (2, "2: 20"),
    ]


def test_errors_of_computing_and_of_writing_come_with_their_item():
    seen = []
    values = ((item, lambda item=item: 6 // item) for item in (1, 0, 2, 3))
    for item, written in write_behind(lambda item, value: 6 // (item - 2), values):
        try:
            seen.append((item, written()))
        except ZeroDivisionError:
            seen.append((item, "error"))
    assert seen == [(1, -6), (0, "error"), (2, "error"), (3, 6)]
    assert list(write_behind(max, [])) == []


def test_written_values_are_let_go():
    alive = weakref.WeakSet()

    def make(item):
        value = Value(item)
        alive.add(value)
        return value

    def write(item, value):
        gc.collect()
        counts.append(len(alive))
        return value.item

    counts = []
    values = ((item, lambda item=item: make(item)) for item in range(6))
    assert [written() for _, written in write_behind(write, values)] == list(range(6))
    assert max(counts) <= 2
