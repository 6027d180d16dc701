"""Reading and writing while computing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")
Written = TypeVar("Written")


def prefetch(read: Callable[[Item], Value], items: Sequence[Item]) -> Iterator[tuple[Item, Callable[[], Value]]]:
    """Each item with what returns ``read(item)``, or raises its error.

    Another thread reads the next item while the caller is at work on this one, so two values are in memory.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = [reader.submit(read, item) for item in items[:1]]
        for number, item in enumerate(items, 1):
            value = coming.pop()
            coming += [reader.submit(read, following) for following in items[number : number + 1]]
            yield item, value.result


def write_behind(
    write: Callable[[Item, Value], Written], values: Iterable[tuple[Item, Callable[[], Value]]]
) -> Iterator[tuple[Item, Callable[[], Written]]]:
    """Each item with what returns ``write(item, value())``, or raises the error of either.

    Another thread writes while the caller's computes the next value, so two values are in memory. An item comes when
    the one after it has been computed.
    """
    with ThreadPoolExecutor(max_workers=1) as writer:
        last: list[tuple[Item, Callable[[], Written]]] = []
        for item, value in values:
            try:
                job = writer.submit(write, item, value())
            except Exception as error:  # whoever asks for this item shall have it
                job = Future()
                job.set_exception(error)
            yield from last
            last = [(item, job.result)]
        yield from last
