"""Data-parallel training: the rank of this process among those that ``msrun`` started."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

import mindspore as ms
from mindspore import communication, ops

from kidneyseg import device as devices

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class Ranks:
    """Process ``rank`` of ``size`` processes; only the first one writes files and prints."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every rank has called this. Uses AllReduce, because MindSpore's Barrier has no CPU kernel."""
        if self.size > 1:
            ops.AllReduce()(ms.Tensor([1.0])).asnumpy()


def start(device: str) -> tuple[str, Ranks]:
    """Select the device and, if ``msrun`` started this process, join the other ranks.

    Call this before any network or loss is built, because they read the number of ranks. Another call after the ranks
    have joined changes nothing. In the scheduler process of msrun it never returns: this process waits for the ranks to
    end, and exits.

    Args:
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        The device's name, and the rank of this process (0 of 1 without msrun).

    Raises:
        InputError: the device is not available.
    """
    joined = communication.GlobalComm.INITED
    chosen = ms.get_context("device_target") if joined else devices.use(device)
    if "MS_ROLE" not in os.environ:
        return chosen, Ranks()
    if not joined:
        _die_with_parent()
        communication.init()
        ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    return chosen, Ranks(communication.get_rank(), communication.get_group_size())


def _die_with_parent() -> None:
    """Ask the kernel to kill this rank when msrun dies; it has its own session and would otherwise keep running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
