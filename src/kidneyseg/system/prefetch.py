"""Prefetching of inputs and background writing of outputs, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")
Written = TypeVar("Written")


def prefetch(read: Callable[[Item], Value], items: Sequence[Item]) -> Iterator[tuple[Item, Callable[[], Value]]]:
    """Yield each item with a function that returns ``read(item)`` or raises its error.

    Another thread reads the next item while the caller processes this one, so two values are in memory.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        pending = [reader.submit(read, item) for item in items[:1]]
        for number, item in enumerate(items, 1):
            value = pending.pop()
            pending += [reader.submit(read, following) for following in items[number : number + 1]]
            yield item, value.result


def write_behind(
    write: Callable[[Item, Value], Written], values: Iterable[tuple[Item, Callable[[], Value]]]
) -> Iterator[tuple[Item, Callable[[], Written]]]:
    """Yield each item with a function that returns ``write(item, value())`` or raises an error of either.

    Another thread writes while this thread computes the next value, so two values are in memory. An item is yielded
    after the next value was computed.
    """
    with ThreadPoolExecutor(max_workers=1) as writer:
        last: list[tuple[Item, Callable[[], Written]]] = []
        for item, value in values:
            try:
                job = writer.submit(write, item, value())
            except Exception as error:  # raised when the caller asks for the result of this item
                job = Future()
                job.set_exception(error)
            yield from last
            last = [(item, job.result)]
        yield from last
