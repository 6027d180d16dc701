"""Environment variables; those that kidneyseg and MindSpore set are meant only for MindSpore in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kidneyseg import CAP, GIVEN


def given_environment() -> dict[str, str]:
    """Return the environment with which the user started this process, for a child process.

    A child that inherits the present environment also gets the variables set since then: by kidneyseg (oneDNN limited
    to AVX2) and by MindSpore (LD_LIBRARY_PATH and, invisible to Python, OMP_NUM_THREADS=1 after it has compiled a
    graph). PyTorch, OpenVINO and this project's kernels would then run on one core or without AVX-512. Variables that
    start with KIDNEYSEG_ are always passed on.
    """
    return GIVEN | {name: value for name, value in os.environ.items() if name.startswith("KIDNEYSEG_")}


@contextmanager
def uncapped() -> Iterator[None]:
    """Remove the instruction-set cap that kidneyseg sets for MindSpore's oneDNN, but not one that the user has set.

    PyTorch and OpenVINO have their own oneDNN, which also reads this variable, once, when it is first used.
    """
    cap = os.environ.get(CAP)
    if CAP not in GIVEN:
        os.environ.pop(CAP, None)
    try:
        yield
    finally:
        if cap is not None:
            os.environ[CAP] = cap
