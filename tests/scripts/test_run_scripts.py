"""The evaluation and export scripts: usage, and that arguments arrive where they should."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(name, *args):
    return subprocess.run(["bash", str(SCRIPTS / name), *args], capture_output=True, text=True, env=ENV)


@pytest.mark.parametrize("name", ["run_eval.sh", "run_export.sh"])
@pytest.mark.parametrize("args", [[], ["one"]])
def test_too_few_arguments_show_the_usage(name, args):
    done = run(name, *args)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"Usage: bash scripts/{name} ") and len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize(
    "name, args, words",
    [
        (
            "run_eval.sh",
            ["CPU", "nowhere"],
            ["kidneyseg eval: error: nowhere/splits.json: expected", "kidneyseg prepare"],
        ),
        ("run_eval.sh", ["CPU", "nowhere", "0", "--no-oracle", "--data"], ["--data: expected one argument"]),
        ("run_export.sh", ["nowhere", "out", "many"], ["argument --batch", "'many'"]),
        ("run_export.sh", ["nowhere", "out"], ["kidneyseg export: error: nowhere:", "model folder"]),
    ],
)
def test_the_programs_faults_reach_the_caller(name, args, words):
    done = run(name, *args)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
