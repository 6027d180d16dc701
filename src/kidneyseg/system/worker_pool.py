"""A function applied to every case of a cohort in worker processes: within a memory budget, and no failure is lost.

One case that fails, whatever the error, does not stop the others.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

from tqdm import tqdm

from kidneyseg.errors import InputError
from kidneyseg.system.cores import usable_cpus
from kidneyseg.system.failures import explain

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers() -> int:
    """The CPUs this process may use, at most 8: a full-size CT takes about 2 GiB per worker."""
    return min(8, usable_cpus())


def require_workers(workers: int) -> None:
    """Raise InputError unless ``workers``, as given on the command line, is at least 1."""
    if workers < 1:
        raise InputError("--workers", expected="at least 1", found=str(workers), remedy="Give 1 or more")


def try_cases(
    function: Callable[[Item], Result], items: Sequence[Item], names: Sequence[str], *, workers: int, title: str
) -> list[Result | InputError]:
    """``function`` of every item in ``workers`` processes, with a progress bar called ``title``.

    Args:
        function: importable by name (processes are spawned), or a ``functools.partial`` of such a one.
        names: the case each item belongs to, for error messages.
        workers: 1 computes in this process.

    Returns:
        In the order of ``items``: what ``function`` returned, or why it failed.
    """
    require_workers(workers)
    workers = min(workers, len(items))
    outcomes = (
        _run_here(function, items)
        if workers <= 1
        else run_within(function, items, [1] * len(items), budget=workers, workers=workers)
    )
    results: dict[int, Result | InputError] = {}
    with closing(outcomes), tqdm(total=len(items), desc=title, unit="case", disable=None) as bar:
        for index, outcome in outcomes:
            results[index] = explain(names[index], outcome) if isinstance(outcome, Exception) else outcome
            bar.update()
    return [results[index] for index in range(len(items))]


def run_cases(
    function: Callable[[Item], Result], items: Sequence[Item], names: Sequence[str], *, workers: int, title: str
) -> list[Result]:
    """As :func:`try_cases`, for results of which none may be missing.

    Raises:
        InputError: some items failed; the others have been computed all the same.
    """
    outcomes = try_cases(function, items, names, workers=workers, title=title)
    require_all({name: one for name, one in zip(names, outcomes) if isinstance(one, InputError)}, len(items))
    return [one for one in outcomes if not isinstance(one, InputError)]


def require_all(failures: Mapping[str, InputError | str], total: int) -> None:
    """Raise one InputError for all ``failures``, by name, of ``total`` cases; that of a single case as it is."""
    for failure in failures.values():
        if total == 1 and isinstance(failure, InputError):
            raise failure
    if failures:
        raise InputError(
            f"{len(failures)} of {total} cases",
            expected="cases without faults",
            found="; ".join(_named(name, str(failures[name])) for name in sorted(failures)),
            remedy="Correct or remove them and run the same command again; the others are done",
        )


def _named(name: str, said: str) -> str:
    return (said if said.startswith(f"{name}: ") else f"{name}: {said}").removesuffix(".")


def run_within(
    function: Callable[[Item], Result], items: Sequence[Item], costs: Sequence[int], *, budget: int, workers: int
) -> Generator[tuple[int, Result | Exception]]:
    """``function`` of every item in at most ``workers`` spawned processes, as they finish.

    An item starts when the costs of all running ones and its own are within ``budget``, or when nothing else runs.
    The processes end with their parent, however that ends.

    Args:
        function: as in :func:`run_cases`.
        costs: peak memory of each item, in the unit of ``budget``.

    Yields:
        (index of the item, result or the exception it raised). When a process is killed, by the system for lack of
        memory for example, the items that were running start again one by one, with nothing beside them; what is killed
        then fails with BrokenProcessPool. The others go on in new processes.
    """
    waiting = list(range(len(items)))
    costs = list(costs)
    running: dict[Future[Result], int] = {}
    executor = _executor(workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers and _fits(waiting[0], running, costs, budget):
                index = waiting.pop(0)
                running[executor.submit(function, items[index])] = index
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(_broken(future) for future in finished):
                finished, _ = wait(running)  # the executor fails them all
                executor.shutdown(wait=True)
                executor = _executor(workers)
            suspects = [future for future in finished if _broken(future)]
            for future in finished:
                index, error = running.pop(future), future.exception()
                if future in suspects and len(suspects) > 1:  # any of them may have been the one
                    waiting.insert(0, index)
                    costs[index] = budget + 1  # alone
                elif error is None:
                    yield index, future.result()
                elif isinstance(error, Exception):
                    yield index, error
                else:  # the worker was told to end
                    raise error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _run_here(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result | Exception]]:
    """As :func:`run_within`, in this process."""
    for index, item in enumerate(items):
        try:
            yield index, function(item)
        except Exception as error:
            yield index, error


def _executor(workers: int) -> ProcessPoolExecutor:
    """Spawned, not forked: the caller may have MindSpore's threads running."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _broken(future: Future) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)


def _fits(index: int, running: dict[Future, int], costs: Sequence[int], budget: int) -> bool:
    return not running or costs[index] + sum(costs[other] for other in running.values()) <= budget


def _end_with_parent() -> None:
    """Make this worker exit when its parent is gone; Python's own workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only workers call this

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
