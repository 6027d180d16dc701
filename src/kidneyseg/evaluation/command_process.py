"""Commands in processes of their own: what they take of memory is known, and why they fail reaches the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from kidneyseg.system.environment import given_environment
from kidneyseg.system.peak_memory import PEAK_PIPE


class ChildFailed(Exception):
    """A command ended with an error; the message says which and why."""


def run_command(argv: Sequence[str]) -> float:
    """Run ``kidneyseg ARGV``, its output going where this process's goes.

    Returns:
        The most memory that its process held at a time, in MiB (resident).

    Raises:
        ChildFailed: its exit status is not 0.
    """
    told, tell = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "kidneyseg", *argv],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(tell,),
            env=given_environment() | {PEAK_PIPE: str(tell)},
        )
    finally:
        os.close(tell)
    with open(told, encoding="ascii") as peak, child:
        try:
            lines = _relay(child)
        except BaseException:
            child.kill()
            raise
        if child.wait():
            raise ChildFailed(f"{argv[0]}: {_reason(child.returncode, argv[0], lines)}")
        return float(peak.read())


def _relay(child: subprocess.Popen) -> list[str]:
    """Pass the child's stderr on as it comes; returns its last lines."""
    lines: list[str] = []
    assert child.stderr is not None  # a pipe
    for line in child.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        lines = [*lines[-200:], line.strip()]
    return lines


def _reason(status: int, command: str, lines: Sequence[str]) -> str:
    """The command's own last word, else the last line it wrote."""
    if status < 0:
        what = signal.Signals(-status).name
        return f"killed by {what}" + (", perhaps for want of memory" if -status == signal.SIGKILL else "")
    mark = f"kidneyseg {command}: error: "
    said = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    return (said or [line for line in lines if line] or [f"exit status {status}"])[-1]
