"""How much memory a process has held at most."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

PEAK_PIPE = "KIDNEYSEG_PEAK_PIPE"  # holds the number of the pipe that :func:`report_peak` writes to


def own_peak() -> float:
    """The most memory that this process has held at a time, in MiB (resident).

    Not Linux's ``ru_maxrss``: a process that was started by another one begins with that one's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def report_peak() -> None:
    """Write :func:`own_peak` to the pipe of the parent, if it has given one."""
    if PEAK_PIPE in os.environ:
        os.write(int(os.environ[PEAK_PIPE]), str(own_peak()).encode("ascii"))
