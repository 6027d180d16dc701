"""Data-parallel training: who this process is among those that `msrun` started."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
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
            _sum(np.ones(1, np.float32))

    def gather(self, value: Any) -> list[Any]:
        """What every rank gives, in their order, on every rank: all must call it. ``value`` can be pickled.

        Its bytes, two to a number, go through a sum to which the other ranks add zeros: of float32, exact here, that
        has a kernel on every device. On CPU MindSpore waits MS_NODE_TIMEOUT seconds for a rank, 30 unless it is set.
        """
        if self.size == 1:
            return [value]
        content = pickle.dumps(value)
        words = np.frombuffer(content + bytes(len(content) % 2), np.uint16)
        lengths = np.zeros(self.size, np.float32)
        lengths[self.rank] = words.size
        ends = np.cumsum(_sum(lengths).astype(np.int64))
        together = np.zeros(ends[-1], np.float32)
        together[ends[self.rank] - words.size : ends[self.rank]] = words
        together = _sum(together).astype(np.uint16)
        return [pickle.loads(part.tobytes()) for part in np.split(together, ends[:-1])]


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


def _sum(numbers: np.ndarray) -> np.ndarray:
    """Over all ranks, of (n,) float32."""
    return ops.AllReduce()(ms.Tensor(numbers)).asnumpy()


def _die_with_parent() -> None:
    """A rank outlives an interrupted msrun, which starts it in a session of its own, unless the kernel is told."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
