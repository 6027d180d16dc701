"""PyTorch, the peer of the benchmarks, as its own users run it."""

from __future__ import annotations

import os

import torch

from kidneyseg import CAP, GIVEN
from kidneyseg.system.cores import thread_count


def set_up_torch() -> None:
    """As many threads as our kernels take, and all instructions that the CPU has, unless the user has set a limit.

    Call it before the first operator: PyTorch's oneDNN then reads the limit that `kidneyseg/__init__.py` sets for
    MindSpore's.
    """
    if CAP not in GIVEN:
        os.environ.pop(CAP, None)
    torch.set_num_threads(thread_count())
