"""`kidneyseg doctor`: what it says, and its exit status, on this machine and on made-up ones."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from kidneyseg import cli
from kidneyseg.commands import doctor
from kidneyseg.doctor.machine import Machine

TINY = [
    "stages.coarse.sampling.patch=[8,8,8]",
    "stages.coarse.sampling.stride=[8,8,8]",
    "stages.fine.sampling.size=[16,16]",
    *(f"stages.{stage}.network.{key}=2" for stage in ("coarse", "fine") for key in ("width", "depth")),
]
ASCEND = Machine(
    "3.11.7",
    {"mindspore": "2.10.0", "numpy": "1.26.4"},
    targets=("Ascend", "CPU"),
    npus=1,
    cann="9.0.0",
    driver="26.0.rc1",
    firmware="7.8.0",
)


@pytest.fixture
def on(monkeypatch):
    return lambda machine: monkeypatch.setattr(doctor, "look", lambda: machine)


def test_the_machine_alone(capsys):
    assert cli.main(["doctor", "--target", "CPU"]) == 0
    said = capsys.readouterr().out
    assert "Device: CPU" in said and "mindspore" in said and said.endswith("Nothing is wrong.\n")


def test_a_recipe_on_an_ascend(on, capsys, tmp_path):
    on(ASCEND)
    assert cli.main(["doctor", "-c", "mplab_small", *TINY, "--json", str(tmp_path / "doctor.json")]) == 0
    said = capsys.readouterr().out
    assert "Stage coarse: unet3d in float16" in said and "Stage fine: unet3plus in float16" in said
    assert said.count("Verdict: every operator is documented for Ascend or has a kernel there.") == 2
    written = json.loads((tmp_path / "doctor.json").read_text())
    assert written["ok"] and written["target"] == "Ascend" and len(written["checks"]) == 7
    (row,) = [row for row in written["stages"][0]["operators"] if row["operator"] == "Conv3D"]
    assert row["types"] == ["float16", "float16"] and row["state"] == "OK"


def test_a_precision_that_an_ascend_has_not(on, capsys):
    on(ASCEND)
    precision = [f"stages.{stage}.train.precision=bfloat16" for stage in ("coarse", "fine")]
    assert cli.main(["doctor", "-c", "mplab_small", *precision, *TINY]) == 2
    said = capsys.readouterr().out
    assert "expected float16, all that MindSpore documents there for 3-D convolutions, found bfloat16" in said
    assert "expected float16 or float32, all that MindSpore documents there for pooling" in said
    assert said.endswith("Something is wrong, see above.\n")


def test_a_device_that_is_not_here(on, capsys):
    on(replace(ASCEND, targets=("CPU",), npus=0))
    assert cli.main(["doctor", "--target", "Ascend"]) == 2
    assert "Ascend device: Run it where there is one" in capsys.readouterr().out


def test_without_mindspore():
    """It is about machines where something is missing: only the recipe's graphs need MindSpore."""
    code = (
        "import sys; from importlib import metadata; sys.modules['mindspore'] = None; version = metadata.version\n"
        "def absent(name):\n"
        "    if name == 'mindspore': raise metadata.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "metadata.version = absent\n"
        "from kidneyseg import cli; sys.exit(cli.main(['doctor', '-c', 'mplab_small', '--target', 'CPU']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "The recipe was not looked at" in done.stdout
    assert "pip install 'mindspore>=2.9,<2.11'" in done.stdout
