"""Data-parallel training: who this process is among those that `msrun` started."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

import mindspore as ms
from mindspore import communication

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class Ranks:
    """Process ``rank`` of ``size``; only the first one writes files and speaks."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            communication.comm_func.barrier()


def join() -> Ranks:
    """Join the ranks that `msrun` started, or be the only one when it did not start this process.

    Call it after the device is chosen and before any network or loss is built: those read the number of ranks. In
    msrun's scheduler process it returns never: that one only waits for the ranks to end, and exits.
    """
    if "MS_ROLE" not in os.environ:
        return Ranks()
    _die_with_parent()
    communication.init()
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    return Ranks(communication.get_rank(), communication.get_group_size())


def _die_with_parent() -> None:
    """A rank outlives an interrupted msrun, which starts it in a session of its own, unless the kernel is told."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
