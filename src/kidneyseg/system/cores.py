"""How many threads the kernels use."""

from __future__ import annotations

import os


def thread_count() -> int:
    """KIDNEYSEG_THREADS, else OMP_NUM_THREADS, else this process's share of the cores it may run on.

    The ranks that `msrun` started share them evenly, as if all ran on this host; set KIDNEYSEG_THREADS if they do not.
    """
    for name in ("KIDNEYSEG_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    return max(1, usable_cpus() // int(os.environ.get("MS_WORKER_NUM", 1)))


def usable_cpus() -> int:
    """The CPUs this process may run on; only Linux tells, elsewhere all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
