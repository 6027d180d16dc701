"""Set-up of PyTorch for the benchmarks, as its users run it."""

from __future__ import annotations

import os

import torch

from kidneyseg import CAP, GIVEN
from kidneyseg.system.cores import thread_count


def set_up_torch() -> None:
    """Set as many threads as for the project's kernels, and allow all CPU instructions, unless the user set a limit.

    Call this before the first operator, when PyTorch's oneDNN reads the limit that ``kidneyseg/__init__.py`` sets for
    MindSpore's oneDNN.
    """
    if CAP not in GIVEN:
        os.environ.pop(CAP, None)
    torch.set_num_threads(thread_count())
