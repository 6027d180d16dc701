"""The speed of MindSpore, of this project's kernels and of PyTorch, compared in one run.

Every implementation has its own process (network_worker.py), so that threads and memory are separate. They are timed
alternately, so that other work on the machine affects all of them.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from importlib import util

from kidneyseg import cpu_kernels
from kidneyseg.benchmark.network_cases import NETWORKS, OPERATORS
from kidneyseg.benchmark.worker_process import WorkerProcess
from kidneyseg.cpu_kernels.processor import multiplies_bfloat16, processor

IMPLEMENTATIONS = ("kidneyseg", "mindspore", "pytorch-plain", "pytorch-channels_last")
PHASES = ("train", "forward")
DTYPES = ("float32", "bfloat16")


@dataclass
class BenchmarkRow:
    """One row of the table.

    Attributes:
        ms: time of the fastest repeat, which is affected least by other processes.
        median_ms: median time of the repeats.
        cpu_ms: smallest CPU time of all threads together, which is more reliable on a shared machine.
        peak_mib: peak memory of the process.
    """

    network: str
    phase: str
    implementation: str
    dtype: str
    ms: float
    median_ms: float
    cpu_ms: float
    peak_mib: float


class TimedNetwork:
    """One implementation of one case in its own process; the constructor waits for its first step."""

    def __init__(self, case: str, phase: str, implementation: str, dtype: str, small: bool) -> None:
        self.name = (case, phase, implementation, dtype)
        job = {"case": case, "phase": phase, "implementation": implementation, "dtype": dtype, "small": small}
        self.worker = WorkerProcess(
            "kidneyseg.benchmark.network_worker",
            job,
            f"benchmark, {' '.join(self.name)}",
            "Leave it out with --without, or give it more memory",
        )
        self.answers: list[dict] = []
        self.worker.answer()

    def step(self) -> None:
        """Run one step and record its time."""
        self.worker.send({})
        self.answers.append(self.worker.answer())

    def row(self) -> BenchmarkRow:
        times = [answer["ms"] for answer in self.answers]
        return BenchmarkRow(
            *self.name,
            ms=round(min(times), 3),
            median_ms=round(statistics.median(times), 3),
            cpu_ms=round(min(answer["cpu_ms"] for answer in self.answers), 3),
            peak_mib=round(self.answers[-1]["peak_mib"], 1),
        )


def runnable() -> list[tuple[str, str]]:
    """List the (implementation, dtype) pairs that this machine can run."""
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
    """Time one case in one phase, all implementations alternately. Raises InputError if one fails."""
    timed: list[TimedNetwork] = []
    try:
        for implementation, dtype in wanted:
            timed.append(TimedNetwork(case, phase, implementation, dtype, small))
        for _ in range(repeats):
            for network in timed:
                network.step()
        return [network.row() for network in timed]
    finally:
        for network in timed:
            network.worker.close()


def table(rows: list[BenchmarkRow]) -> str:
    """Format the rows. The ratio is relative to the fastest row of PyTorch with the same case, phase and dtype."""
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
    """Return {"processor": name, "rows": rows of the networks, "operators": rows of single operators}."""
    return {
        "processor": processor(),
        "rows": [asdict(row) for row in rows if row.network in NETWORKS],
        "operators": [asdict(row) for row in rows if row.network in OPERATORS],
    }
