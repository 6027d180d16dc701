"""Applies a function to every case of a data set in worker processes, within a memory budget.

If a case fails, whatever the error is, the others continue; all errors are returned.
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
    """Return the number of CPUs that this process may use, at most 8: a full-size CT needs about 2 GiB per worker."""
    return min(8, usable_cpus())


def require_workers(workers: int) -> None:
    """Raise InputError if ``workers``, from the command line, is below 1."""
    if workers < 1:
        raise InputError("--workers", expected="at least 1", found=str(workers), remedy="Give 1 or more")


def try_cases(
    function: Callable[[Item], Result], items: Sequence[Item], names: Sequence[str], *, workers: int, title: str
) -> list[Result | InputError]:
    """Call ``function`` for every item in ``workers`` processes, with a progress bar called ``title``.

    Args:
        function: function that is importable by name (processes are spawned), or a ``functools.partial`` of one.
        items: the items.
        names: the case of each item, for error messages.
        workers: number of processes; 1: compute in this process.
        title: title of the progress bar.

    Returns:
        In the order of ``items``: the result of ``function``, or its error.
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
    """Call ``function`` as :func:`try_cases`, but raise an error if any item fails.

    Raises:
        InputError: some items failed; the others were computed.
    """
    outcomes = try_cases(function, items, names, workers=workers, title=title)
    require_all({name: one for name, one in zip(names, outcomes) if isinstance(one, InputError)}, len(items))
    return [one for one in outcomes if not isinstance(one, InputError)]


def require_all(failures: Mapping[str, InputError | str], total: int) -> None:
    """Raise one InputError for all ``failures`` (name -> error) of ``total`` cases; for a single case its own error."""
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


def _named(name: str, message: str) -> str:
    return (message if message.startswith(f"{name}: ") else f"{name}: {message}").removesuffix(".")


def run_within(
    function: Callable[[Item], Result], items: Sequence[Item], costs: Sequence[int], *, budget: int, workers: int
) -> Generator[tuple[int, Result | Exception]]:
    """Call ``function`` for every item in at most ``workers`` spawned processes; results come as they finish.

    An item starts if the costs of all running items and its own are within ``budget``, or if no other item runs. The
    processes end with their parent, even if that is killed.

    Args:
        function: as for :func:`try_cases`.
        items: the items.
        costs: peak memory of each item, in the unit of ``budget``.
        budget: memory budget.
        workers: maximum number of processes.

    Yields:
        (index of the item, result or exception). If a process is killed, for example by the system because memory was
        full, all running items start again, one at a time; an item that is killed again fails with BrokenProcessPool.
        The other items continue in new processes.
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
                finished, _ = wait(running)  # they all fail with the executor
                executor.shutdown(wait=True)
                executor = _executor(workers)
            suspects = [future for future in finished if _broken(future)]
            for future in finished:
                index, error = running.pop(future), future.exception()
                if future in suspects and len(suspects) > 1:  # it is not known which of them was killed
                    waiting.insert(0, index)
                    costs[index] = budget + 1  # so that it runs alone
                elif error is None:
                    yield index, future.result()
                elif isinstance(error, Exception):
                    yield index, error
                else:  # the worker was told to end
                    raise error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _run_here(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result | Exception]]:
    """Do the same as :func:`run_within`, in this process."""
    for index, item in enumerate(items):
        try:
            yield index, function(item)
        except Exception as error:
            yield index, error


def _executor(workers: int) -> ProcessPoolExecutor:
    """Make an executor that spawns processes; forking is not possible with MindSpore's threads in the caller."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _broken(future: Future) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)


def _fits(index: int, running: dict[Future, int], costs: Sequence[int], budget: int) -> bool:
    return not running or costs[index] + sum(costs[other] for other in running.values()) <= budget


def _end_with_parent() -> None:
    """Make this worker exit when its parent has ended; otherwise Python's workers wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only workers call this

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
