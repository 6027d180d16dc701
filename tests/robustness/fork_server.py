"""A process that imports everything once and forks for every command: MindSpore alone takes seconds to import.

Requests come as JSON lines on stdin, answers go as JSON lines to stdout:

    {"argv": [...], "cwd": FOLDER, "kill": null or {"seconds": S} or {"event": N}}
    {"status": exit status, or minus the signal that ended it, "hung": bool, "left": number of processes left behind,
     "events": how often it touched files in FOLDER, if "kill" asks for an event}

A command hangs when it takes `PROCESSOR` seconds of a processor or has not ended after `WALL` seconds.

The command's stdout and stderr are in FOLDER/stdout and FOLDER/stderr, its temporary files in FOLDER/tmp.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import weights

from kidneyseg import cli

HEAVY = (
    "mindspore",
    "mindspore.dataset",
    "openvino",
    "SimpleITK",
    "matplotlib.pyplot",
    "kidneyseg.training_data.mindrecord",
    "kidneyseg.export.mindir",
    "kidneyseg.export.onnx_export",
    "kidneyseg.inference.ensemble.ensemble",
    "kidneyseg.evaluation.held_out",
    "kidneyseg.model_folder.network",
    "kidneyseg.report.html",
    "kidneyseg.report.overlay",
    "kidneyseg.report.plots",
    "kidneyseg.training.train_stage",
)
MEMORY = 64 << 30  # address space beside the server's own: MindSpore reserves tens of GiB without using them
PROCESSOR = 20  # seconds; so that a busy machine does not fail what is only waiting its turn
WALL = 120.0
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 10.0  # seconds that a killed command's workers have to notice
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # a killed command's workers become our children
    for name in (*(f"kidneyseg.commands.{name}" for name in cli.COMMANDS), *HEAVY):
        importlib.import_module(name)
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: fork  # workers of prepare need not import all that again
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), file=answers, flush=True)


def run(argv: list[str], cwd: str, kill: dict | None) -> dict:
    """Run one command to its end, its limit or its death; see the module's text."""
    events = mmap.mmap(-1, 8)  # shared with the command and its workers
    child = os.fork()
    if child == 0:
        os._exit(command(argv, Path(cwd), kill, events))
    status = wait(child, (kill or {}).get("seconds", WALL))
    late = status is None
    if late:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    hung = code == -signal.SIGXCPU or late and not kill
    return {"status": code, "hung": hung, "left": workers_left(child), "events": read_count(events)}


def wait(child: int, seconds: float) -> int | None:
    """The wait status of ``child``, None when it is still at work after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.003)
    return None


def workers_left(session: int) -> int:
    """Processes of the command's session that do not end by themselves; they are killed."""
    end = time.monotonic() + PATIENCE
    while living(session) and time.monotonic() < end:
        time.sleep(0.01)
    left = living(session)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def living(session: int) -> list[int]:
    """Our processes of that session; those that have ended are reaped."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    alive = [int(pid) for pid in children if os.waitpid(int(pid), os.WNOHANG)[0] == 0]
    return [pid for pid in alive if os.getsid(pid) == session]


def command(argv: list[str], cwd: Path, kill: dict | None, events: mmap.mmap) -> int:
    """In the child: kidneyseg ARGV as a process of its own would run it; returns the exit status."""
    os.setsid()
    os.chdir(cwd)
    (cwd / "tmp").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(cwd / "tmp")
    for number, name in enumerate(("stdout", "stderr"), 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, own + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR + 5))
    sys.argv = ["kidneyseg", *argv]
    if kill and "event" in kill:
        kill_at(cwd, kill["event"], events)
    try:
        return weights.main(argv[1:]) if argv[0] == "weights" else cli.main(argv)
    except SystemExit as stop:
        return stop.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def kill_at(folder: Path, event: int, events: mmap.mmap) -> None:
    """Kill this process with SIGKILL when it, or a worker of it, is about to touch a file in ``folder`` once more than
    ``event`` times. Counted are Python's own operations of `EVENTS`, of all processes together."""
    main = os.getpid()

    def watch(name: str, args: tuple) -> None:
        if name in EVENTS and isinstance(args[0], (str, Path)) and is_within(str(args[0]), folder):
            count = read_count(events) + 1
            events[:] = count.to_bytes(8, "little")
            if count > event:
                os.kill(main, signal.SIGKILL)

    sys.addaudithook(watch)


def is_within(path: str, folder: Path) -> bool:
    return path.startswith(f"{folder}/") or not path.startswith("/")  # commands run in ``folder``


def read_count(events: mmap.mmap) -> int:
    return int.from_bytes(events[:], "little")


if __name__ == "__main__":
    main()
