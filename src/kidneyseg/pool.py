"""A function applied to every case of a cohort in worker processes: within a memory budget, and no failure is lost."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

from tqdm import tqdm

from kidneyseg.cpu.threads import usable_cpus
from kidneyseg.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers() -> int:
    """The CPUs this process may use, at most 8: a full-size CT takes about 2 GiB per worker."""
    return min(8, usable_cpus())


def require_workers(workers: int) -> None:
    """Raise InputError unless ``workers``, as given on the command line, is at least 1."""
    if workers < 1:
        raise InputError("--workers", expected="at least 1", found=str(workers), remedy="Give 1 or more")


def run_cases(
    function: Callable[[Item], Result], items: Sequence[Item], names: Sequence[str], *, workers: int, title: str
) -> list[Result]:
    """``[function(item) for item in items]`` in ``workers`` processes, with a progress bar called ``title``.

    Args:
        function: importable by name (processes are spawned), or a ``functools.partial`` of such a one.
        names: the case each item belongs to, for error messages.
        workers: 1 computes in this process.

    Raises:
        InputError: the first one that ``function`` raised, or a worker was killed.
        RuntimeError: any other failure, with the case's name; the original error is its cause.
    """
    require_workers(workers)
    workers = min(workers, len(items))
    outcomes = (
        _run_here(function, items)
        if workers <= 1
        else run_within(function, items, [1] * len(items), budget=workers, workers=workers)
    )
    results: dict[int, Result] = {}
    with closing(outcomes), tqdm(total=len(items), desc=title, unit="case", disable=None) as bar:
        for index, outcome in outcomes:
            if isinstance(outcome, Exception):
                raise _named(names[index], outcome) from outcome
            results[index] = outcome
            bar.update()
    return [results[index] for index in range(len(items))]


def run_within(
    function: Callable[[Item], Result], items: Sequence[Item], costs: Sequence[int], *, budget: int, workers: int
) -> Iterator[tuple[int, Result | Exception]]:
    """``function`` of every item in at most ``workers`` spawned processes, as they finish.

    An item starts when the costs of all running ones and its own are within ``budget``, or when nothing else runs.
    The processes end with their parent, however that ends.

    Args:
        function: as in :func:`run_cases`.
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


def _run_here(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result | Exception]]:
    """As :func:`run_within`, in this process."""
    for index, item in enumerate(items):
        try:
            yield index, function(item)
        except Exception as error:
            yield index, error


def _executor(workers: int) -> ProcessPoolExecutor:
    """Spawned, not forked: the caller may have MindSpore's threads running."""
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


def _named(name: str, error: Exception) -> Exception:
    """The error to raise for a failed case: what the user must see, with the case's name."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, BrokenProcessPool):
        return InputError(
            name,
            expected="a worker process that finishes",
            found="one that was killed, probably for lack of memory",
            remedy="Use fewer --workers",
        )
    return RuntimeError(f"{name}: {type(error).__name__}: {error}")
