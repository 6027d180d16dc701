"""What the tests of this folder share: the fork server, and undamaged files made once for all workers of pytest."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import world as undamaged
from campaign import run_undamaged
from cases import CASES
from judge import Reference
from runner import Runner


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> Path:
    """A folder that all workers of this run of pytest see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "robustness"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def world(shared, runner) -> Path:
    """The undamaged files, see `world`; not to be changed."""
    folder = shared / "world"
    with only_one(shared / "world.lock"):
        if not (shared / "world.done").exists():
            undamaged.build(folder, runner)
            (shared / "world.done").touch()
    return folder


@pytest.fixture(scope="session")
def reference(shared, world, runner) -> Callable[[str], Reference]:
    """reference(CASE): how the case takes undamaged files, found out when first asked for."""

    def find(name: str) -> Reference:
        file = shared / f"{name}.json"
        with only_one(shared / f"{name}.lock"):
            if not file.exists():
                file.write_text(json.dumps(asdict(run_undamaged(CASES[name], world, shared / name, runner))))
        return Reference(**json.loads(file.read_text()))

    return find


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other worker is in the block of ``path``."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
