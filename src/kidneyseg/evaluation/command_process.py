"""Running kidneyseg commands in separate processes, which report their peak memory and their error messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from kidneyseg.system.environment import given_environment
from kidneyseg.system.peak_memory import PEAK_PIPE


class ChildFailed(Exception):
    """A command ended with an error; the message has the command and the reason."""


def run_command(argv: Sequence[str]) -> float:
    """Run ``kidneyseg ARGV`` with the output of this process.

    Returns:
        Peak resident memory of its process, MiB.

    Raises:
        ChildFailed: its exit status is not 0.
    """
    read_end, write_end = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "kidneyseg", *argv],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(write_end,),
            env=given_environment() | {PEAK_PIPE: str(write_end)},
        )
    finally:
        os.close(write_end)
    with open(read_end, encoding="ascii") as peak, child:
        try:
            lines = _relay(child)
        except BaseException:
            child.kill()
            raise
        if child.wait():
            raise ChildFailed(f"{argv[0]}: {_reason(child.returncode, argv[0], lines)}")
        return float(peak.read())


def _relay(child: subprocess.Popen) -> list[str]:
    """Print the child's stderr line by line as it arrives. Returns its last lines."""
    lines: list[str] = []
    assert child.stderr is not None  # a pipe
    for line in child.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        lines = [*lines[-200:], line.strip()]
    return lines


def _reason(status: int, command: str, lines: Sequence[str]) -> str:
    """Return the command's last error message, or else its last line of output."""
    if status < 0:
        what = signal.Signals(-status).name
        return f"killed by {what}" + (", perhaps because memory was full" if -status == signal.SIGKILL else "")
    mark = f"kidneyseg {command}: error: "
    messages = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    return (messages or [line for line in lines if line] or [f"exit status {status}"])[-1]
