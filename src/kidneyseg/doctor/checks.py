"""What a machine has against what a device needs: OK, wrong or missing, with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kidneyseg.doctor.machine import Machine
from kidneyseg.system.config_files import read_yaml

OK, WRONG, MISSING = "OK", "wrong", "missing"
INSTALL = "https://www.mindspore.cn/install"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: OK, wrong or missing.
        remedy: what to do where it is not OK.
        needed: whether training and prediction need it; what is not needed makes them faster.
    """

    name: str
    found: str
    expected: str
    state: str
    remedy: str = ""
    needed: bool = True

    @property
    def fails(self) -> bool:
        return self.needed and self.state != OK


@cache
def fits() -> dict[str, Any]:
    """Read the versions that fit together from fits.yaml."""
    path = Path(__file__).parent / "fits.yaml"
    return read_yaml(path, expected="the versions that fit together", remedy="Install kidneyseg again")


def check(machine: Machine, target: str) -> list[Check]:
    """All that ``target`` (CPU, GPU or Ascend) needs of ``machine``."""
    return [*_everywhere(machine), *{"CPU": _cpu, "GPU": _gpu, "Ascend": _ascend}[target](machine)]


def satisfies(version: str, wanted: str) -> bool:
    """Whether ``version`` is as ``wanted`` says: ">=2.9,<2.11", "8.2 or 8.3" (and all that begin so), "any"."""
    return any(all(_within(version, part) for part in choice.split(",")) for choice in wanted.split(" or "))


def _within(version: str, part: str) -> bool:
    bound = numbers(part)
    if part.startswith(">="):
        return numbers(version) >= bound
    if part.startswith("<"):
        return numbers(version) < bound
    return numbers(version)[: len(bound)] == bound


def numbers(version: str) -> tuple[int, ...]:
    """Of "8.2.RC1" (8, 2): the numbers up to the first part that does not begin with one."""
    leading = re.match(r"\D*(\d+(?:\.\d+)*)", version)
    return tuple(int(number) for number in leading[1].split(".")) if leading else ()


def _compare(name: str, found: str | None, wanted: str, remedy: str) -> Check:
    if found is None:
        return Check(name, "none", wanted, MISSING, remedy)
    good = satisfies(found, wanted)
    return Check(name, found, wanted, OK if good else WRONG, "" if good else remedy)


def _everywhere(machine: Machine) -> Iterator[Check]:
    wanted = fits()
    yield _compare("Python", machine.python, wanted["python"], "Make an environment with such a Python")
    for name, versions in wanted["packages"].items():
        yield _compare(name, machine.packages.get(name), versions, f"pip install '{name}{versions}'")
    if machine.mindspore_error:
        yield Check("import mindspore", machine.mindspore_error, "no error", WRONG, f"See {INSTALL}")


def _device(name: str, files: int, usable: bool, mindspore: bool, remedy: str) -> Check:
    """A device must be plugged in and, where there is a MindSpore to ask, usable by it."""
    if files and (usable or not mindspore):
        return Check(f"{name} device", str(files), "1 or more", OK)
    if files:
        return Check(f"{name} device", f"{files}, none that MindSpore can use", "1 or more", WRONG, remedy)
    return Check(f"{name} device", "none", "1 or more", MISSING, f"Run it where there is one; {remedy}")


def _cpu(machine: Machine) -> Iterator[Check]:
    found = machine.compiler
    yield Check(
        "C++ compiler",
        found or "none",
        "g++",
        OK if found else MISSING,
        "" if found else "Install g++: without it MindSpore's own kernels compute, many times slower",
        needed=False,
    )


def _gpu(machine: Machine) -> Iterator[Check]:
    pairs = fits()["cuda"]
    yield _device("GPU", machine.gpus, "GPU" in machine.targets, bool(machine.targets), f"see {INSTALL}")
    yield _compare("NVIDIA driver", machine.nvidia, "any", "Install it")
    remedy = "Install it and name its folder in LD_LIBRARY_PATH"
    yield _compare("CUDA", machine.cuda, " or ".join(pair["cuda"] for pair in pairs), remedy)
    yield _compare("cuDNN", machine.cudnn, ">=8,<9", remedy)


def _ascend(machine: Machine) -> Iterator[Check]:
    rows = fits()["ascend"]
    usable = "Ascend" in machine.targets
    yield _device("Ascend", machine.npus, usable, bool(machine.targets), "source CANN's set_env.sh first")
    cann, known = machine.cann, " or ".join(row["cann"] for row in rows)
    yield _compare("CANN", cann, known, "Install one, and source its set_env.sh before kidneyseg is called")
    driver = next((row.get("driver") for row in rows if cann and satisfies(cann, row["cann"])), None)
    remedy = f"Install the one that belongs to CANN {cann or ''}".rstrip()
    yield _compare("Ascend driver", machine.driver, f">={driver}" if driver else "any", remedy)
    yield _compare("Ascend firmware", machine.firmware, "any", remedy)  # it counts its versions in its own way
