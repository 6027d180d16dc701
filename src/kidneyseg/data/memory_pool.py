"""Work on cases in processes that together stay within a memory budget; one case's failure does not lose the others."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Callable, Iterator, Sequence, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_within(
    function: Callable[[Item], Result], items: Sequence[Item], costs: Sequence[int], *, budget: int, workers: int,
) -> Iterator[tuple[int, Result | Exception]]:
    """``function`` of every item in at most ``workers`` spawned processes, as they finish.

    An item starts when the costs of all running ones and its own are within ``budget``, or when nothing else runs.
    The processes end with their parent, however that ends.

    Args:
        function: importable by name.
        costs: peak memory of each item, in the unit of ``budget``.

    Yields:
        (index of the item, result or the exception it raised). A process that is killed, by the system for lack of
        memory for example, fails the items that were running with BrokenProcessPool; the others go on in new processes.
    """
    waiting = list(range(len(items)))
    running: dict[Future, int] = {}
    executor = _executor(workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers and _fits(waiting[0], running, costs, budget):
                index = waiting.pop(0)
                running[executor.submit(function, items[index])] = index
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                finished, _ = wait(running)  # the executor fails them all
                executor.shutdown(wait=True)
                executor = _executor(workers)
            for future in finished:
                index, error = running.pop(future), future.exception()
                yield index, (future.result() if error is None else error)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _fits(index: int, running: dict[Future, int], costs: Sequence[int], budget: int) -> bool:
    return not running or costs[index] + sum(costs[other] for other in running.values()) <= budget


def _end_with_parent() -> None:
    """Make this worker exit when its parent is gone; Python's own workers would wait for work for ever."""
    sentinel = multiprocessing.parent_process().sentinel

    def watch() -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
