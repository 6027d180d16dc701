"""Processes of the benchmarks: each implementation has its own, so that threads and memory are separate.

A worker reads its job as one line of JSON and writes every answer as one line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable

from kidneyseg.errors import InputError
from kidneyseg.system.environment import given_environment


class WorkerProcess:
    """A process ``python -m MODULE`` with a job; as a context manager it is ended with the block.

    Args:
        module: module that calls :func:`serve`.
        job: the job, as JSON types.
        name: its name in error messages.
        remedy: remedy if it fails without a message.
        quiet: keep its stderr for the error message; otherwise it uses the stderr of this process, for progress bars.
    """

    def __init__(self, module: str, job: dict, name: str, remedy: str, *, quiet: bool = True) -> None:
        self.name, self.remedy = name, remedy
        self.log = tempfile.TemporaryFile("w+") if quiet else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=given_environment(),
        )
        self.send(job)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: dict) -> None:
        """Write one line to the worker's stdin."""
        try:
            print(json.dumps(message), file=self.process.stdin, flush=True)
        except BrokenPipeError:  # it has ended; :meth:`answer` reports why
            pass

    def answer(self) -> dict:
        """Read the next answer. Raises InputError if the worker reports one, or ends."""
        assert self.process.stdout is not None  # a pipe
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries may print other lines to stdout
                answer = json.loads(line)
                if "error" in answer:
                    raise InputError(**answer["error"])
                return answer
        raise InputError(self.name, expected="an answer", found=self._end(), remedy=self.remedy)

    def close(self) -> None:
        """End the worker by closing its stdin."""
        assert self.process.stdin is not None and self.process.stdout is not None  # pipes
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()
        if self.log:
            self.log.close()

    def _end(self) -> str:
        status = f"exit status {self.process.wait()}"
        if not self.log:
            return f"{status}, and the lines above"
        self.log.seek(0)
        return f"{status}\n{self.log.read()[-2000:]}".rstrip()


def serve(work: Callable[[dict], Iterable[dict]]) -> None:
    """Run the main program of a worker: write each answer of ``work(job)``, or its InputError."""
    try:
        for answer in work(json.loads(sys.stdin.readline())):
            print(json.dumps(answer), flush=True)
    except InputError as error:
        fields = {key: getattr(error, key) for key in ("subject", "expected", "found", "remedy")}
        print(json.dumps({"error": fields}), flush=True)
        sys.exit(2)
