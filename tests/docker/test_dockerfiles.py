"""The images: linted, made of files that are there, and of the versions that setup.py asks for."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "docker" / name for name in ("Dockerfile", "Dockerfile.ascend")]


def lint(path):
    return subprocess.run([Path(sys.executable).parent / "hadolint", path], capture_output=True, text=True)


def pins(name):
    """Package -> version of a list in docker/."""
    lines = [line for line in (ROOT / "docker" / name).read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in (line.split("==") for line in lines)}


def asked(extra=""):
    """What setup.py asks for: always, or with an extra only."""
    found = [Requirement(text) for text in requires("kidneyseg")]
    return [
        one
        for one in found
        if (one.marker is None if not extra else one.marker and one.marker.evaluate({"extra": extra}))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path):
    done = lint(path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "before, after, rule",
    [("FROM python:3.11.13-slim-bookworm", "FROM python:latest", "DL3007"), ("--no-cache-dir ", "", "DL3042")],
)
def test_hadolint_would_find_it(tmp_path, before, after, rule):
    text = FILES[0].read_text()
    assert before in text
    (tmp_path / "Dockerfile").write_text(text.replace(before, after))
    done = lint(tmp_path / "Dockerfile")
    assert done.returncode == 1 and rule in done.stdout


def test_the_pinned_versions_are_what_setup_asks_for():
    wanted = {canonicalize_name(one.name): one.specifier for one in asked()}
    assert wanted.pop("mindspore")
    base = pins("requirements.txt")
    assert {name for name in wanted if not wanted[name].contains(base.get(name, "0"))} == set()
    assert "mindspore" not in base


def test_the_image_has_the_extras_openvino():
    [wanted] = [one.specifier for one in asked("openvino") if one.name == "openvino"]
    assert wanted.contains(pins("openvino.txt")["openvino"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_sent_to_docker(path):
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns  # all the rest stays at home
    sent = [line[1:] for line in patterns if line.startswith("!")]
    copied = [
        source
        for words in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.M)
        for source in words.split()[:-1]
    ]
    assert "src" in copied
    for source in copied:
        assert (ROOT / source).exists() and any(fnmatch(source, pattern) for pattern in sent), source


def test_nobody_is_root():
    for path in FILES:
        last = re.split(r"^FROM ", path.read_text(), flags=re.M)[-1]
        [user] = re.findall(r"^USER (\S+)$", last, re.M)
        assert user.split(":")[0].isdecimal() and int(user.split(":")[0]) > 0
