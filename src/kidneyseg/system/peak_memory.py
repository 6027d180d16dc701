"""Peak memory of a process."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

PEAK_PIPE = "KIDNEYSEG_PEAK_PIPE"  # variable with the number of the pipe to which :func:`report_peak` writes


def own_peak() -> float:
    """Return the peak resident memory of this process in MiB.

    Linux's ``ru_maxrss`` is not used, because a child process starts with the value of its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def report_peak() -> None:
    """Write :func:`own_peak` to the parent's pipe, if there is one."""
    if PEAK_PIPE in os.environ:
        os.write(int(os.environ[PEAK_PIPE]), str(own_peak()).encode("ascii"))
