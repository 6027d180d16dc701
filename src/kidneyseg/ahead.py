"""Reading while computing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def ahead(read: Callable[[Item], Value], items: Sequence[Item]) -> Iterator[tuple[Item, Callable[[], Value]]]:
    """Each item with what returns ``read(item)``, or raises its error.

    Another thread reads the next item while the caller is at work on this one, so two values are in memory.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = [reader.submit(read, item) for item in items[:1]]
        for number, item in enumerate(items, 1):
            value = coming.pop()
            coming += [reader.submit(read, following) for following in items[number:number + 1]]
            yield item, value.result
