"""Usage and syntax of the training scripts; that ranks really train is in tests/training/test_distributed.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["run_standalone_train.sh", "run_distribute_train.sh"]


def bash(*arguments):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(["bash", *arguments], capture_output=True, text=True, env=environment, timeout=100)


@pytest.mark.parametrize("name", SCRIPTS)
def test_usage_without_arguments(name):
    run = bash(str(ROOT / "scripts" / name))
    assert run.returncode == 2 and run.stderr.startswith(f"Usage: bash scripts/{name} DEVICE_TARGET")


@pytest.mark.parametrize("name", SCRIPTS)
def test_syntax(name):
    assert bash("-n", str(ROOT / "scripts" / name)).returncode == 0


def test_number_of_devices_is_checked():
    assert bash(str(ROOT / "scripts/run_distribute_train.sh"), "CPU", "none", "work").returncode == 2


def test_standalone_hands_over_every_argument(tmp_path):
    run = bash(str(ROOT / "scripts/run_standalone_train.sh"), "CPU", str(tmp_path), "mplab", "coarse", "3", "--resume")
    assert run.returncode == 2 and "kidneyseg prepare" in run.stderr and str(tmp_path) in run.stderr
    run = bash(str(ROOT / "scripts/run_standalone_train.sh"), "CPU", str(tmp_path))
    assert run.returncode == 2 and str(tmp_path / "recipe.yaml") in run.stderr
