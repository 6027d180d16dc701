"""Data-parallel training: the rank of this process among those that were started together."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import communication, ops

from kidneyseg import device as devices
from kidneyseg.errors import InputError

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LAUNCHERS = {"Ascend": ("msrun", "mpirun", "a rank table"), "GPU": ("msrun", "mpirun"), "CPU": ("msrun",)}
# How launchers tell a process how many it is one of: Open MPI, other MPIs, Slurm's srun, a rank table, torchrun.
COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "RANK_SIZE", "WORLD_SIZE")
RANK_TABLES = ("RANK_TABLE_FILE", "MINDSPORE_HCCL_CONFIG_PATH")


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
        lengths = np.zeros((self.size, 2), np.float32)
        lengths[self.rank] = divmod(words.size, 2**16)
        ends = np.cumsum(_sum(lengths).astype(np.int64) @ [2**16, 1])
        together = np.zeros(ends[-1], np.float32)
        together[ends[self.rank] - words.size : ends[self.rank]] = words
        together = _sum(together).astype(np.uint16)
        return [pickle.loads(part.tobytes()) for part in np.split(together, ends[:-1])]


def start(device: str) -> tuple[str, Ranks]:
    """Select the device and join the ranks that were started with this process, or be the only one.

    Call this before any network or loss is built, because they read the number of ranks. Another call after the ranks
    have joined changes nothing. In the scheduler process of msrun it never returns: this process waits for the ranks to
    end, and exits. Processes that cannot be joined are refused: each would train the same fold and write to the same
    folder.

    Args:
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        The device's name, and the rank of this process (0 of 1 without msrun).

    Raises:
        InputError: the device is not available, or this process is one of several that MindSpore cannot join on it.
    """
    joined = communication.GlobalComm.INITED
    chosen = ms.get_context("device_target") if joined else devices.use(device)
    launcher = find_launcher(os.environ, chosen)
    if launcher is None:
        return chosen, Ranks()
    if not joined:
        _die_with_parent()
        communication.init()
        ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    ranks = Ranks(communication.get_rank(), communication.get_group_size())
    if launcher != "msrun" and str(ranks.size) != os.environ["RANK_SIZE"]:
        raise _cannot_join("RANK_SIZE", os.environ, f"{ranks.size} by {launcher}", chosen)
    return chosen, ranks


def find_launcher(environment: Mapping[str, str], device: str) -> str | None:
    """Which of the `LAUNCHERS` that MindSpore's `init` knows started this process; None: it is the only one.

    Args:
        environment: variables. Of mpirun, importing MindSpore has set RANK_ID, RANK_SIZE and DEVICE_ID.
        device: "CPU", "GPU" or "Ascend".

    Raises:
        InputError: the process is one of several that cannot be joined on ``device``.
    """
    if "MS_ROLE" in environment:
        return "msrun"
    counts = [name for name in COUNTS if environment.get(name) not in (None, "", "1")]
    table = next((name for name in RANK_TABLES if environment.get(name)), None)
    numbers = {name: environment.get(name, "") for name in ("RANK_ID", "RANK_SIZE", "DEVICE_ID")}
    if not counts and numbers["RANK_ID"] in ("", "0") and (table is None or numbers["RANK_SIZE"]):
        return None
    launcher = None
    if "OMPI_COMM_WORLD_SIZE" in counts:
        if environment.get("OMPI_COMMAND") and environment.get("PMIX_RANK"):  # what MindSpore recognises it by
            launcher = "mpirun"
    elif table:
        launcher = "a rank table"
    if launcher not in LAUNCHERS[device]:
        raise _cannot_join((counts or [table or "RANK_ID"])[0], environment, launcher or "none of these", device)
    if table and launcher == "a rank table":
        decimal = all(number.isdecimal() for number in numbers.values())
        if not decimal or int(numbers["RANK_ID"]) >= int(numbers["RANK_SIZE"]):
            raise InputError(
                f"{table}={environment[table]}",
                expected="with it RANK_ID, RANK_SIZE (greater than RANK_ID) and DEVICE_ID",
                found=", ".join(f"{name}={number}" for name, number in numbers.items()),
                remedy=f"Start training with scripts/run_distribute_train.sh; for one process unset {table}",
            )
    return launcher


def _cannot_join(name: str, environment: Mapping[str, str], found: str, device: str) -> InputError:
    return InputError(
        f"{name}={environment[name]}",
        expected=f"one process, or several started by what MindSpore joins on {device}: {', '.join(LAUNCHERS[device])}",
        found=found,
        remedy="Start training with scripts/run_distribute_train.sh, once on each machine; "
        f"unset {name} if this process trains alone",
    )


def _sum(numbers: np.ndarray) -> np.ndarray:
    """Over all ranks, of float32 of any shape."""
    return ops.AllReduce()(ms.Tensor(numbers)).asnumpy()


def _die_with_parent() -> None:
    """Ask the kernel to kill this rank when msrun dies; it has its own session and would otherwise keep running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
