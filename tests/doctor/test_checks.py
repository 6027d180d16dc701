"""What is installed against what fits together, on made-up machines."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from kidneyseg.doctor.checks import check, fits, satisfies
from kidneyseg.doctor.machine import Machine, look

ROOT = Path(__file__).resolve().parents[2]
LAPTOP = Machine("3.11.7", {"mindspore": "2.10.0", "numpy": "1.26.4"}, targets=("CPU",), compiler="g++ 12")
ASCEND = replace(
    LAPTOP, targets=("Ascend", "CPU"), npus=8, cann="8.5.0", driver="25.5.0", firmware="7.8.0.5.216", compiler=None
)
GPU = replace(LAPTOP, targets=("GPU", "CPU"), gpus=1, nvidia="535.104", cuda="11.6", cudnn="8.5.0")


def states(machine, target):
    return {found.name: found.state for found in check(machine, target) if found.state != "OK"}


@pytest.mark.parametrize(("machine", "target"), [(LAPTOP, "CPU"), (ASCEND, "Ascend"), (GPU, "GPU")])
def test_a_good_machine(machine, target):
    assert machine.target == target and not states(machine, target)


@pytest.mark.parametrize(
    ("machine", "target", "expected"),
    [
        (replace(LAPTOP, python="3.9.2"), "CPU", {"Python": "wrong"}),
        (replace(LAPTOP, packages={"numpy": "2.1.0"}, targets=()), "CPU", {"mindspore": "missing", "numpy": "wrong"}),
        (replace(LAPTOP, mindspore_error="ImportError: libgomp"), "CPU", {"import mindspore": "wrong"}),
        (replace(ASCEND, cann="8.0.RC3"), "Ascend", {"CANN": "wrong"}),
        (replace(ASCEND, cann=None), "Ascend", {"CANN": "missing"}),
        (replace(ASCEND, driver="24.1.RC2"), "Ascend", {"Ascend driver": "wrong"}),
        (replace(ASCEND, firmware=None), "Ascend", {"Ascend firmware": "missing"}),
        (replace(ASCEND, targets=("CPU",)), "Ascend", {"Ascend device": "wrong"}),
        (replace(GPU, cuda="12.4", cudnn="9.1.0"), "GPU", {"CUDA": "wrong", "cuDNN": "wrong"}),
        (LAPTOP, "GPU", dict.fromkeys(("GPU device", "NVIDIA driver", "CUDA", "cuDNN"), "missing")),
    ],
)
def test_what_is_wrong_or_missing_is_named_with_a_remedy(machine, target, expected):
    assert states(machine, target) == expected
    assert all(bool(found.remedy) == (found.state != "OK") for found in check(machine, target))


def test_without_a_compiler_all_works_but_slower():
    (found,) = [found for found in check(replace(LAPTOP, compiler=None), "CPU") if found.state != "OK"]
    assert found.name == "C++ compiler" and not found.fails


def test_what_auto_means_without_mindspore():
    assert replace(ASCEND, targets=()).target == "Ascend"
    assert replace(GPU, targets=()).target == "GPU"
    assert replace(LAPTOP, targets=()).target == "CPU"


@pytest.mark.parametrize(
    ("version", "wanted", "good"),
    [
        ("2.10.0", ">=2.9,<2.11", True),
        ("2.11.0", ">=2.9,<2.11", False),
        ("2.8.9", ">=2.9,<2.11", False),
        ("8.2.RC1", "8.2", True),
        ("8.20.0", "8.2", False),
        ("8.3.0", "8.2 or 8.3", True),
        ("8.4.0", "8.2 or 8.3", False),
        ("25.5.0", ">=25.5", True),
        ("24.1.rc2", "any", True),
    ],
)
def test_versions(version, wanted, good):
    assert satisfies(version, wanted) == good


def test_files_of_huawei_and_nvidia(tmp_path, monkeypatch):
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    for path, text in (
        ("dev/davinci0", ""),
        ("dev/davinci7", ""),
        ("dev/davinci_manager", ""),
        ("dev/nvidia0", ""),
        ("dev/nvidiactl", ""),
        ("usr/local/Ascend/ascend-toolkit/latest/compiler/version.info", "Name=x\nVersion=8.3.RC1\n"),
        ("usr/local/Ascend/driver/version.info", "Version=25.3.rc1\nascendhal_version=7.35\n"),
        ("usr/local/Ascend/firmware/version.info", "Version=7.8.0.2.212\n"),
        ("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = look(tmp_path)
    assert (found.npus, found.cann, found.driver, found.firmware) == (2, "8.3.RC1", "25.3.rc1", "7.8.0.2.212")
    assert (found.gpus, found.nvidia) == (1, "535.104.05")


def test_the_table_is_that_of_setup_and_of_mindspore():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'python_requires="{fits()["python"]}"' in setup
    for package, versions in fits()["packages"].items():
        assert f'"{package}{versions}"' in setup
    checker = Path(find_spec("mindspore").origin).parent / "run_check/_check_version.py"
    asked = re.search(r"class AscendEnvChecker.*?self\.version = \[(.*?)\]", checker.read_text(encoding="utf-8"), re.S)
    assert re.findall(r'"([\d.]+)"', asked[1]) == [row["cann"] for row in fits()["ascend"]]


def test_the_documentation_shows_the_table():
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    wanted = fits()
    rows = [f"| Python | {wanted['python']} |", *(f"| {n} | {v} |" for n, v in wanted["packages"].items())]
    rows += [f"| {row['cann']} | {row.get('driver', 'not listed yet')} |" for row in wanted["ascend"]]
    rows += [f"| {row['cuda']} | {row['cudnn']} |" for row in wanted["cuda"]]
    assert [row for row in rows if row not in page] == []
