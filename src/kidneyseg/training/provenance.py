"""What is needed to repeat a run, written beside its result."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import kidneyseg
from kidneyseg.atomic import write_text
from kidneyseg.recipe import Recipe, load_recipe, save_recipe

PACKAGES = ("mindspore", "numpy", "scipy", "opencv-python-headless")


def record(folder: Path, stage: str, facts: dict) -> None:
    """Add a session of training ``stage`` to ``folder/run.json``: ``facts``, versions, command, time, git revision.

    ``run.json`` maps each stage to the list of its sessions; a resumed stage has several.
    """
    path = folder / "run.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs.setdefault(stage, []).append({
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        **facts,
        "versions": {"kidneyseg": kidneyseg.__version__, "python": platform.python_version(),
                     **{name: version(name) for name in PACKAGES}},
        "machine": {"platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
        "git": git_revision(),
    })
    write_text(path, json.dumps(runs, indent=2) + "\n")


def forget(folder: Path, stage: str) -> None:
    """Drop the sessions of a stage that is trained anew."""
    path = folder / "run.json"
    if path.exists():
        runs = json.loads(path.read_text(encoding="utf-8"))
        runs.pop(stage, None)
        write_text(path, json.dumps(runs, indent=2) + "\n")


def git_revision() -> str | None:
    """Commit of this checkout, with "+changes" when files differ from it; None outside git."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=here, capture_output=True).returncode == 1
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if changed else "")


def save_fold_recipe(folder: Path, recipe: Recipe, stage: str) -> None:
    """Write ``folder/recipe.yaml``: ``recipe``, but other stages trained there before as they were trained."""
    path = folder / "recipe.yaml"
    before = {old.name: old for old in load_recipe(path).stages} if path.exists() else {}
    stages = [before[s.name] if s.name != stage and s.name in before and (folder / s.name / "last.ckpt").exists() else s
              for s in recipe.stages]
    save_recipe(recipe.model_copy(update={"stages": tuple(stages)}), path)
