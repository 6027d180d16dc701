"""A function applied to every case of a cohort in worker processes, with a progress bar and no lost failures."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Callable, Sequence, TypeVar

from tqdm import tqdm

from kidneyseg.data.memory_pool import run_within
from kidneyseg.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers() -> int:
    """The CPUs this process may use, at most 8: a full-size CT takes about 2 GiB per worker."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, allowed)


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
    if workers < 1:
        raise InputError("--workers", expected="at least 1", found=str(workers), remedy="Give 1 or more")
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


def _run_here(function: Callable[[Item], Result], items: Sequence[Item]):
    """As :func:`run_within`, in this process."""
    for index, item in enumerate(items):
        try:
            yield index, function(item)
        except Exception as error:
            yield index, error


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
