"""PyTorch, the peer of the benchmarks, as its own users run it."""
from __future__ import annotations

import os

import torch

from kidneyseg.cpu.threads import thread_count


def set_up_torch() -> None:
    """As many threads as our kernels take, and all instructions that the CPU has.

    Call it before the first operator: oneDNN then reads the limit that `kidneyseg/__init__.py` sets for MindSpore's,
    and PyTorch's own must not see it.
    """
    os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    torch.set_num_threads(thread_count())
