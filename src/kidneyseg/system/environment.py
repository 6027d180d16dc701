"""Environment variables: what kidneyseg and MindSpore set is for MindSpore alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kidneyseg import CAP, GIVEN


def given_environment() -> dict[str, str]:
    """The environment this process was given, for a child: what its user would start it with.

    Without it a child gets what was set since: by kidneyseg (oneDNN kept to AVX2), by MindSpore (LD_LIBRARY_PATH, and
    out of Python's sight OMP_NUM_THREADS=1, once it has compiled a graph), and PyTorch, OpenVINO or our kernels would
    run on one core or without AVX-512 there. Variables of kidneyseg's own pass, whoever set them.
    """
    return GIVEN | {name: value for name, value in os.environ.items() if name.startswith("KIDNEYSEG_")}


@contextmanager
def uncapped() -> Iterator[None]:
    """Without the cap that kidneyseg puts on MindSpore's oneDNN; one that the user has set stays.

    PyTorch and OpenVINO have a oneDNN of their own, which reads the variable, too: once, when it is first used.
    """
    cap = os.environ.get(CAP)
    if CAP not in GIVEN:
        os.environ.pop(CAP, None)
    try:
        yield
    finally:
        if cap is not None:
            os.environ[CAP] = cap
