"""The blocks in which MindSpore takes memory for tensors on a CPU."""

from __future__ import annotations

import contextlib
import os
from functools import cache

import mindspore as ms

GIB = 1 << 30


@cache
def take_large_blocks() -> None:
    """Let MindSpore's pool ask for half of the machine's memory at a time; what is not written to is not taken.

    A tensor must lie in one block. Of MindSpore's own blocks of 1 GiB a few large tensors fill half each: after its
    first step, training a 3-D network held a third more than its tensors ever need. And the pool gives the smallest
    piece that a tensor fits in, so that the end of a block, never touched before, should be its largest piece. Whoever
    has called ``ms.runtime.set_memory`` before keeps what was set.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    ranks = int(os.environ.get("MS_WORKER_NUM", 1))  # of `msrun`, as if all ran on this host
    size = f"{max(1, machine // (2 * GIB * ranks))}GB"
    with contextlib.suppress(RuntimeError):
        ms.runtime.set_memory(init_size=size, increase_size=size)
