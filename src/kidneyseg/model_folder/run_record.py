"""What is needed to repeat a run, written beside its result."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

import kidneyseg
from kidneyseg.model_folder.folder import RECIPE
from kidneyseg.recipe import Recipe, load_recipe, save_recipe
from kidneyseg.system.config_files import read_json
from kidneyseg.system.files import write_text
from kidneyseg.system.privacy import without_user
from kidneyseg.system.versions import git_revision

RECORD = "run.json"
PACKAGES = ("mindspore", "numpy", "scipy", "opencv-python-headless")


@with_config(ConfigDict(extra="allow"))
class Session(TypedDict):
    """Of training or evaluation; more than this, as :func:`record` says."""

    versions: dict[str, str]
    git: str | None


def read_sessions(folder: Path) -> dict[str, list[Session]]:
    """The sessions of each stage, and those of "eval", in ``folder/run.json``.

    Raises:
        InputError: no such file, or a damaged one.
    """
    return read_json(
        folder / RECORD,
        dict[str, Annotated[list[Session], Field(min_length=1)]],
        expected="the record that `kidneyseg train` leaves",
        absent="Train this fold first",
        remedy="Copy it again, or delete it: only reports need it",
    )


def known_sessions(folder: Path) -> dict[str, list[Session]]:
    """As :func:`read_sessions`; none where nothing was recorded yet. Ask before long work: :func:`record` will."""
    return read_sessions(folder) if (folder / RECORD).exists() else {}


def record(folder: Path, stage: str, facts: dict) -> None:
    """Add a session of training ``stage`` to ``folder/run.json``: ``facts``, versions, command, time, git revision.

    ``run.json`` maps each stage to the list of its sessions; a resumed stage has several. Paths are as
    `without_user` leaves them.
    """
    runs = known_sessions(folder)
    runs.setdefault(stage, []).append(
        without_user(
            {
                "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "command": sys.argv,
                **facts,
                "versions": {
                    "kidneyseg": kidneyseg.__version__,
                    "python": platform.python_version(),
                    **{name: version(name) for name in PACKAGES},
                },
                "machine": {"platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
                "git": git_revision(),
            }
        )
    )
    write_text(folder / RECORD, json.dumps(runs, indent=2) + "\n")


def forget(folder: Path, stage: str) -> None:
    """Drop the sessions of a stage that is trained anew."""
    runs = known_sessions(folder)
    if runs.pop(stage, None):
        write_text(folder / RECORD, json.dumps(runs, indent=2) + "\n")


def save_fold_recipe(folder: Path, recipe: Recipe, stage: str) -> None:
    """Write ``folder/recipe.yaml``: ``recipe``, but other stages trained there before as they were trained."""
    path = folder / RECIPE
    before = {old.name: old for old in load_recipe(path).stages} if path.exists() else {}
    stages = [
        before[s.name] if s.name != stage and s.name in before and (folder / s.name / "last.ckpt").exists() else s
        for s in recipe.stages
    ]
    save_recipe(recipe.model_copy(update={"stages": tuple(stages)}), path)
