"""How many threads the kernels use; the same rule as in source/threads.cc."""
from __future__ import annotations

import os


def thread_count() -> int:
    """KIDNEYSEG_THREADS, else OMP_NUM_THREADS, else the cores this process may run on."""
    for name in ("KIDNEYSEG_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    return len(os.sched_getaffinity(0))
