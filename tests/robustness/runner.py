"""Commands run by the fork server, which is started again when it dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import kidneyseg


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: exit status, or minus the signal that ended it.
        hung: it was still at work at the limit and was killed.
        left: processes that it left behind.
        events: how often it touched files, see `fork_server.kill_at`.
    """

    status: int
    hung: bool
    left: int
    events: int
    stdout: str
    stderr: str


class Runner:
    """A fork server at work. Close it."""

    def __init__(self) -> None:
        self._server: subprocess.Popen | None = None

    def run(self, argv: list[str], cwd: Path, kill: dict | None = None) -> Outcome:
        """Run ``kidneyseg ARGV`` in ``cwd``.

        Args:
            kill: ``{"seconds": S}`` or ``{"event": N}`` ends it by SIGKILL, see `fork_server`; it may end before.
        """
        answer = self._ask({"argv": argv, "cwd": str(cwd), "kill": kill})
        stdout, stderr = ((cwd / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Outcome(**answer, stdout=stdout, stderr=stderr)

    def close(self) -> None:
        if self._server:
            self._server.communicate()

    def _ask(self, request: dict) -> dict:
        if self._server is None or self._server.poll() is not None:
            source = str(Path(kidneyseg.__file__).parents[1])
            self._server = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": source},
            )
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())
