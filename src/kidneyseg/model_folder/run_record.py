"""The record of a run (``run.json``): all that is needed to repeat it."""

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
    """One session of training or evaluation, with more entries, see :func:`record`."""

    versions: dict[str, str]
    git: str | None


def read_sessions(folder: Path) -> dict[str, list[Session]]:
    """Read ``folder/run.json``: the sessions of each stage, and those of "eval".

    Raises:
        InputError: no such file, or a damaged one.
    """
    return read_json(
        folder / RECORD,
        dict[str, Annotated[list[Session], Field(min_length=1)]],
        expected="the record that `kidneyseg train` wrote",
        absent="Train this fold first",
        remedy="Copy it again, or delete it: only reports need it",
    )


def known_sessions(folder: Path) -> dict[str, list[Session]]:
    """Read the sessions as :func:`read_sessions`; empty without a file.

    Call this before long work, to report a damaged file before :func:`record` has to read it.
    """
    return read_sessions(folder) if (folder / RECORD).exists() else {}


def record(folder: Path, name: str, facts: dict) -> None:
    """Add a session to ``folder/run.json``: ``facts``, versions, command, time, git revision.

    ``run.json`` maps each stage, and "eval", to the list of its sessions; a resumed stage has several. The user's name
    is removed from paths by ``without_user``.

    Args:
        folder: folder of ``run.json``.
        name: name of the stage, or "eval".
        facts: more entries, as JSON types.
    """
    runs = known_sessions(folder)
    runs.setdefault(name, []).append(
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


def forget(folder: Path, name: str) -> None:
    """Delete the sessions of a stage, or of "eval"."""
    runs = known_sessions(folder)
    if runs.pop(name, None):
        write_text(folder / RECORD, json.dumps(runs, indent=2) + "\n")


def save_fold_recipe(folder: Path, recipe: Recipe, stage: str) -> None:
    """Write ``recipe`` to ``folder/recipe.yaml``, but keep the earlier settings of other stages trained there."""
    path = folder / RECIPE
    before = {old.name: old for old in load_recipe(path).stages} if path.exists() else {}
    stages = [
        before[s.name] if s.name != stage and s.name in before and (folder / s.name / "last.ckpt").exists() else s
        for s in recipe.stages
    ]
    save_recipe(recipe.model_copy(update={"stages": tuple(stages)}), path)
