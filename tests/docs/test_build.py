"""The documentation builds without a warning, and a dead link is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
for package in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(package)


def build(root, out):
    return subprocess.run(["bash", root / "scripts" / "build_docs.sh", out], capture_output=True, text=True, env=ENV)


def test_the_documentation_builds_without_warnings(tmp_path):
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "docs" / "index.html").is_file() and not done.stderr


def test_a_dead_link_ends_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "docs" / "conf.py", tmp_path / "docs")
    shutil.copy(ROOT / "scripts" / "build_docs.sh", tmp_path / "scripts")
    (tmp_path / "docs" / "index.md").write_text("# Title\n\n[dead](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode != 0 and "nowhere" in done.stderr
