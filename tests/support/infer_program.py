"""The C++ inference program, built once per checkout (about a minute) and kept in ascend310_infer/build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "ascend310_infer" / "build"
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@cache
def built_program() -> Path:
    """The program, built with OpenVINO; skips the test where CMake or OpenVINO is not installed."""
    for missing, there in (("cmake", shutil.which("cmake")), ("openvino", find_spec("openvino"))):
        if not there:
            pytest.skip(f"{missing} is not installed")
    done = subprocess.run(["bash", str(ROOT / "ascend310_infer" / "build.sh")], capture_output=True, text=True, env=ENV)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return BUILD / "kidneyseg_infer"
