"""A function applied to every case of a cohort in worker processes, with a progress bar and no lost failures."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Sequence, TypeVar

from tqdm import tqdm

from kidneyseg.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers() -> int:
    """The CPUs this process may use, at most 8: a full-size CT takes about 2 GiB per worker."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, allowed)


def run_cases(
    function: Callable[[Item], Result], items: Sequence[Item], names: Sequence[str], *, workers: int, title: str,
) -> list[Result]:
    """``[function(item) for item in items]`` in ``workers`` processes, with a progress bar called ``title``.

    Args:
        function: importable by name (processes are spawned), or a ``functools.partial`` of such a one.
        names: the case each item belongs to, for error messages.
        workers: 1 computes in this process.

    Raises:
        InputError: the first one a worker raised, or a worker that was killed, naming the cases it may have been at.
        RuntimeError: any other failure, with the case's name; the worker's own error is its cause.
    """
    if workers < 1:
        raise InputError("--workers", expected="at least 1", found=str(workers), remedy="Give 1 or more")
    if workers == 1 or len(items) < 2:
        bar = tqdm(zip(items, names), title, total=len(items), unit="case", disable=None)
        return [_named(name, lambda item=item: function(item)) for item, name in bar]
    executor = ProcessPoolExecutor(min(workers, len(items)), mp_context=multiprocessing.get_context("spawn"))
    try:
        futures = {executor.submit(function, item): index for index, item in enumerate(items)}
        results: dict[int, Result] = {}
        for future in tqdm(as_completed(futures), title, total=len(items), unit="case", disable=None):
            index = futures[future]
            try:
                results[index] = _named(names[index], future.result)
            except BrokenProcessPool:
                running = [names[i] for i in range(len(items)) if i not in results][: 2 * workers]
                raise InputError(
                    f"{title}: one of {', '.join(running)}", expected="worker processes that finish",
                    found="one that was killed, probably for lack of memory", remedy="Use fewer --workers",
                ) from None
        return [results[index] for index in range(len(items))]
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _named(name: str, compute: Callable[[], Result]) -> Result:
    """``compute()``; what it raises names the case."""
    try:
        return compute()
    except (InputError, BrokenProcessPool, KeyboardInterrupt):
        raise
    except Exception as error:
        raise RuntimeError(f"{name}: {type(error).__name__}: {error}") from error
