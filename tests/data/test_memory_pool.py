from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from kidneyseg.data.memory_pool import run_within


def work(item: str, folder) -> str:
    """Note when it starts and ends; do what ``item`` says."""
    start = time.monotonic()
    if item == "raise":
        raise ValueError("bad case")
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    (folder / f"{item}.txt").write_text(f"{start} {time.monotonic()}")
    return item.upper()


def overlapping(folder) -> int:
    """The largest number of items that were at work at once."""
    spans = [tuple(map(float, path.read_text().split())) for path in folder.glob("*.txt")]
    return max(sum(a <= start < b for a, b in spans) for start, _ in spans)


def test_results_and_failures_come_back_by_index(tmp_path):
    items = ["a", "raise", "b"]
    got = dict(run_within(partial(work, folder=tmp_path), items, [1] * 3, budget=10, workers=2))
    assert (got[0], got[2]) == ("A", "B") and isinstance(got[1], ValueError) and str(got[1]) == "bad case"


def test_costs_above_the_budget_run_alone(tmp_path):
    items = ["a", "b", "c", "d"]
    got = dict(run_within(partial(work, folder=tmp_path), items, [3, 3, 99, 3], budget=5, workers=2))
    assert sorted(got.values()) == ["A", "B", "C", "D"] and overlapping(tmp_path) == 1


def test_within_the_budget_they_run_side_by_side(tmp_path):
    items = [str(i) for i in range(8)]
    dict(run_within(partial(work, folder=tmp_path), items, [3] * 8, budget=6, workers=2))
    assert overlapping(tmp_path) == 2


def test_a_killed_process_fails_its_case_and_not_the_others(tmp_path):
    items = ["a", "die", "b", "c"]
    got = dict(run_within(partial(work, folder=tmp_path), items, [9] * 4, budget=9, workers=2))
    assert isinstance(got[1], BrokenProcessPool)
    assert [got[0], got[2], got[3]] == ["A", "B", "C"]


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from kidneyseg.data.memory_pool import run_within\n"
        "def hang(path):\n"
        "    open(path, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(run_within(hang, [sys.argv[1]], [1], budget=1, workers=1))\n"
    )
    note = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(script), str(note)])
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(note.read_text())
    parent.kill()
    parent.wait()
    while time.monotonic() < deadline and alive(worker):
        time.sleep(0.05)
    assert not alive(worker)


def alive(pid: int) -> bool:
    """Whether ``pid`` runs (a zombie that nobody has waited for does not)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
