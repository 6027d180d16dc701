"""The speed of MindSpore, of the project's kernels and of PyTorch, side by side in one run.

Every implementation lives in a process of its own (benchmark_worker.py), so that their threads and memory do not mix,
and all take turns, so that a machine that is busy for a while is so for all of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import util

from kidneyseg import cpu_kernels
from kidneyseg.benchmark.network_cases import NETWORKS, OPERATORS
from kidneyseg.cpu_kernels.processor import multiplies_bfloat16, processor
from kidneyseg.errors import InputError
from kidneyseg.system.environment import given_environment

IMPLEMENTATIONS = ("kidneyseg", "mindspore", "pytorch-plain", "pytorch-channels_last")
PHASES = ("train", "forward")
DTYPES = ("float32", "bfloat16")


@dataclass
class BenchmarkRow:
    """One line of the table. `ms` is the fastest of the repeats, which other processes disturb least; `cpu_ms` the
    least time that all threads together were running, which says more on a machine that others use."""

    network: str
    phase: str
    implementation: str
    dtype: str
    ms: float
    median_ms: float
    cpu_ms: float
    peak_mib: float


class Worker:
    """A process that makes one step of one case per `step()`; warm when the constructor returns."""

    def __init__(self, case: str, phase: str, implementation: str, dtype: str, small: bool) -> None:
        self.name = (case, phase, implementation, dtype)
        self.log = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "kidneyseg.benchmark.network_worker", *self.name] + ["small"] * small
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=given_environment()
        )
        self.times: list[float] = []
        self.cpu_times: list[float] = []
        self.ask()

    def ask(self) -> dict:
        """What the worker says next: the milliseconds of its step and its peak memory."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.process.wait()
        self.log.seek(0)
        raise InputError(
            f"benchmark, {' '.join(self.name)}",
            expected="a time",
            found=f"exit status {self.process.returncode}\n{self.log.read()[-2000:]}",
            remedy="Leave it out with --without, or give it more memory",
        )

    def step(self) -> None:
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        answer = self.ask()
        self.times.append(answer["ms"])
        self.cpu_times.append(answer["cpu_ms"])
        self.peak_mib = answer["peak_mib"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.log.close()

    def row(self) -> BenchmarkRow:
        return BenchmarkRow(
            *self.name,
            ms=round(min(self.times), 3),
            median_ms=round(statistics.median(self.times), 3),
            cpu_ms=round(min(self.cpu_times), 3),
            peak_mib=round(self.peak_mib, 1),
        )


def runnable() -> list[tuple[str, str]]:
    """The (implementation, dtype) pairs that this machine can run."""
    with_torch = util.find_spec("torch") is not None
    bfloat16 = {"kidneyseg": cpu_kernels.has_bfloat16(), "mindspore": False}  # which has no bfloat16 convolution on CPU
    found = []
    for implementation in IMPLEMENTATIONS:
        if (
            implementation == "kidneyseg"
            and not cpu_kernels.available()
            or "pytorch" in implementation
            and not with_torch
        ):
            continue
        found.append((implementation, "float32"))
        if bfloat16.get(implementation, multiplies_bfloat16()):
            found.append((implementation, "bfloat16"))
    return found


def measure(
    case: str, phase: str, wanted: list[tuple[str, str]], repeats: int, small: bool = False
) -> list[BenchmarkRow]:
    """Times one case in one phase, all implementations in turns. Raises InputError where one fails."""
    workers: list[Worker] = []
    try:
        for implementation, dtype in wanted:
            workers.append(Worker(case, phase, implementation, dtype, small))
        for _ in range(repeats):
            for worker in workers:
                worker.step()
        return [worker.row() for worker in workers]
    finally:
        for worker in workers:
            worker.close()


def table(rows: list[BenchmarkRow]) -> str:
    """The rows as text. The ratio is that to PyTorch's fastest row of the same case, phase and dtype."""
    lines = [
        f"{'case':<26} {'phase':<8} {'implementation':<22} {'dtype':<9} {'ms':>10} {'median':>10} {'CPU ms':>10} "
        f"{'ratio':>7} {'peak MiB':>9}"
    ]
    for row in rows:
        peers = [
            peer.ms
            for peer in rows
            if peer.implementation.startswith("pytorch")
            and (peer.network, peer.phase, peer.dtype) == (row.network, row.phase, row.dtype)
        ]
        ratio = f"{row.ms / min(peers):.2f}" if peers else "-"
        lines.append(
            f"{row.network:<26} {row.phase:<8} {row.implementation:<22} {row.dtype:<9} {row.ms:>10.1f} "
            f"{row.median_ms:>10.1f} {row.cpu_ms:>10.1f} {ratio:>7} {row.peak_mib:>9.0f}"
        )
    return "\n".join(lines)


def as_json(rows: list[BenchmarkRow]) -> dict:
    """{"processor": as `processor` says, "rows": those of the networks, "operators": those of single operators}"""
    return {
        "processor": processor(),
        "rows": [asdict(row) for row in rows if row.network in NETWORKS],
        "operators": [asdict(row) for row in rows if row.network in OPERATORS],
    }
