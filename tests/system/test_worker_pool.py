"""Results in order, failures with their case, memory within its budget, from this process and from spawned ones."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import pytest

from kidneyseg.errors import InputError
from kidneyseg.system.worker_pool import default_workers, run_cases, run_within, try_cases
from kidneyseg.volume.nifti import read_image


def test_one_worker_is_this_process():
    assert run_cases(lambda n: (n, os.getpid()), [3, 1], ["a", "b"], workers=1, title="t") == [
        (3, os.getpid()),
        (1, os.getpid()),
    ]
    assert run_cases(abs, [], [], workers=4, title="t") == []
    assert default_workers() >= 1


def test_results_keep_the_order_of_the_items():
    items = [-5, 4, -3, 2]
    assert run_cases(abs, items, list("abcd"), workers=2, title="t") == [5, 4, 3, 2]


@pytest.mark.parametrize("workers", [1, 2])
def test_all_failures_reach_the_parent_with_their_case(workers):
    outcomes = try_cases(abs, [-1, "x", -2], ["first", "second", "third"], workers=workers, title="t")
    assert outcomes[::2] == [1, 2] and "second: expected no failure, found TypeError: bad operand" in str(outcomes[1])
    with pytest.raises(InputError, match="2 of 3 cases.* a: /no/such.nii.*no such file.*; b: /nor/this.nii"):
        run_cases(not_there, ["/no/such.nii", "/nor/this.nii", "/"], ["a", "b", "c"], workers=workers, title="t")
    with pytest.raises(InputError) as caught:
        run_cases(not_there, ["/no/such.nii"], ["a"], workers=workers, title="t")
    assert caught.value.found == "no such file" and caught.value.subject == "/no/such.nii"


def not_there(path):
    if path != "/":
        read_image(path)


def test_a_killed_worker_is_told_from_a_bad_case():
    with pytest.raises(InputError, match="memory was full.*fewer --workers"):
        run_cases(os._exit, [1, 1], ["a", "b"], workers=2, title="t")


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        run_cases(abs, [1], ["a"], workers=0, title="t")


def test_input_errors_survive_pickling():
    error = InputError("file", expected="this", found="that", remedy="Do it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.remedy == "Do it" and type(again) is InputError


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


@pytest.mark.parametrize("budget", [9, 99])
def test_a_killed_process_fails_its_case_and_not_the_others(tmp_path, budget):
    """Not even those that were at work beside it."""
    items = ["a", "die", "b", "c"]
    got = dict(run_within(partial(work, folder=tmp_path), items, [9] * 4, budget=budget, workers=2))
    assert isinstance(got[1], BrokenProcessPool)
    assert [got[0], got[2], got[3]] == ["A", "B", "C"]


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from kidneyseg.system.worker_pool import run_within\n"
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
