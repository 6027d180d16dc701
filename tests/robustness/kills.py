"""Commands that are killed with SIGKILL again and again, and must in the end leave what one never killed leaves."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from campaign import copy_files
from judge import is_hidden, read_files
from runner import Runner

from kidneyseg.system.digest import sha256

NEVER = {"event": 1 << 40}
TRIES = 4  # moments tried for each kill: a command may end before the moment


@dataclass(frozen=True)
class Job:
    """A command that is killed.

    Attributes:
        line: its words; the same words go on with it.
        files: of the world, copied to where it runs.
        kills: how often it is killed.
        row: so often one after the other, before it may come to its end.
        passing: names of files and folders that differ from run to run.
    """

    line: str
    files: tuple[str, ...]
    kills: int
    row: int
    passing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Whole:
    """The run that was never killed: its result, how long it took and how often it touched files."""

    result: dict[str, str]
    seconds: float
    events: int


JOBS = {
    "prepare": Job("prepare -c tiny.yaml --data data --work new --folds 2 --workers 2", ("tiny.yaml", "data"), 28, 4),
    "train": Job(
        "train -c tiny.yaml --work work --fold 1 --stage fine --device CPU --resume",
        ("tiny.yaml", "work/splits.json", "work/prepared"),
        20,
        5,
        frozenset({"tensorboard", "run.json"}),
    ),
    "predict": Job(
        "predict -m package.zip -i scans -o out --device CPU --json out/summary.json --overlay",
        ("package.zip", "scans/ct.nii.gz", "scans/other.nii.gz"),
        32,
        4,
        frozenset({"summary.json"}),
    ),
    "export": Job("export -m work/fold0 --batch 2 -o out", ("work/fold0",), 20, 5),
}


def run_whole(job: Job, world: Path, place: Path, runner: Runner) -> Whole:
    copy_files(job.files, world, place)
    began = time.monotonic()
    outcome = runner.run(job.line.split(), place, NEVER)
    assert outcome.status == 0, outcome
    return Whole(result_of(job, place, runner), time.monotonic() - began, outcome.events)


def kill_and_finish(job: Job, whole: Whole, place: Path, runner: Runner, rng: Random) -> tuple[int, list[str]]:
    """Kill the command ``job.row`` times in ``place``, where its files are, and let it come to its end.

    Half of the moments are drawn from the time it takes, half from the files it touches, which finds what is short.

    Returns:
        How often it was killed, and what is wrong in the end.
    """
    killed, moments = 0, []
    for number in range(TRIES * job.row):
        if killed == job.row:
            break
        kill = {"event": rng.randrange(whole.events)} if number % 2 else {"seconds": rng.uniform(0, whole.seconds)}
        outcome = runner.run(job.line.split(), place, kill)
        moments.append(kill)
        if outcome.left:
            return killed, [f"{outcome.left} processes went on after {kill}"]
        if outcome.status == -signal.SIGKILL:
            killed += 1
        elif outcome.status:
            return killed, [f"fails after {moments}", outcome.stderr]
    outcome = runner.run(job.line.split(), place)
    if outcome.status:
        return killed, [f"cannot be finished after {moments}", outcome.stderr]
    found = result_of(job, place, runner)
    wrong = sorted(path for path in found.keys() | whole.result.keys() if found.get(path) != whole.result.get(path))
    return killed, [f"after {moments} other than never killed: {', '.join(wrong)}"] if wrong else []


def result_of(job: Job, place: Path, runner: Runner) -> dict[str, str]:
    """All that the command left, hidden files too, but temporary ones elsewhere and those that differ every time."""
    for name in ("stdout", "stderr"):
        (place / name).unlink()
    shutil.rmtree(place / "tmp")
    result = {path: digest for path, digest in read_files(place).items() if not job.passing & set(Path(path).parts)}
    for path in result:
        if path.endswith(".ckpt") and not is_hidden(path):
            result[path] = runner.run(["weights", path], place).stdout
        elif path.endswith(".mindir"):  # MindSpore writes another file every time
            described = json.loads((place / path).with_suffix(".json").read_text())["graph"]
            result[path] = "as described" if sha256(place / path) == described["sha256"] else "another graph"
    return result
