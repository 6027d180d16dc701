"""Number of threads for the CPU kernels."""

from __future__ import annotations

import os


def thread_count() -> int:
    """Return KIDNEYSEG_THREADS, else OMP_NUM_THREADS, else this process's share of the CPUs it may use.

    The ranks of ``msrun`` share the CPUs evenly, as if all ran on this host; set KIDNEYSEG_THREADS if they do not.
    """
    for name in ("KIDNEYSEG_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    return max(1, usable_cpus() // int(os.environ.get("MS_WORKER_NUM", 1)))


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use; all CPUs if the system is not Linux."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
