"""Data-parallel training: who this process is among those that `msrun` started."""

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
    """Process ``rank`` of ``size``; only the first one writes files and speaks."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every rank is here. A sum that all must add to: MindSpore's Barrier has no kernel for CPU."""
        if self.size > 1:
            ops.AllReduce()(ms.Tensor([1.0])).asnumpy()


def start(device: str) -> tuple[str, Ranks]:
    """Choose the device and join the ranks that `msrun` started, or be the only one when it did not start this process.

    Call it before any network or loss is built: those read the number of ranks. Calling it again changes nothing once
    ranks are joined. In msrun's scheduler process it never returns: that one waits for the ranks to end, and exits.

    Args:
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        The device's name, and who this process is.

    Raises:
        InputError: the device is not there.
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
    """A rank outlives an interrupted msrun, which starts it in a session of its own, unless the kernel is told."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
