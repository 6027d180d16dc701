"""What this machine has: versions, devices, libraries. Nothing is installed, started or changed."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

TARGETS = ("Ascend", "GPU", "CPU")  # in the order in which `auto` tries them
PACKAGES = ("mindspore", "numpy")
CUDART = ("libcudart.so.11.0", "libcudart.so.12", "libcudart.so.13", "libcudart.so")
CUDNN = ("libcudnn.so.8", "libcudnn.so.9", "libcudnn.so")


@dataclass(frozen=True)
class Machine:
    """Versions are None where there is none.

    Attributes:
        packages: version by name.
        mindspore_error: why MindSpore is installed and cannot be imported.
        targets: devices that MindSpore can compute on here, the best one first.
        npus, gpus: number of device files.
        driver, firmware: of the Ascend.
        nvidia: NVIDIA's driver.
        compiler: first line of what the C++ compiler says of itself.
    """

    python: str
    packages: Mapping[str, str | None] = field(default_factory=dict)
    mindspore_error: str | None = None
    targets: tuple[str, ...] = ()
    npus: int = 0
    cann: str | None = None
    driver: str | None = None
    firmware: str | None = None
    gpus: int = 0
    nvidia: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    compiler: str | None = None

    @property
    def target(self) -> str:
        """What `auto` means here: the best of what MindSpore sees; without MindSpore, of what is plugged in."""
        if self.targets:
            return self.targets[0]
        return "Ascend" if self.npus else "GPU" if self.gpus else "CPU"


def look(root: Path = Path("/")) -> Machine:
    """This machine; ``root`` is where its file system is."""
    packages = {name: _version(name) for name in PACKAGES}
    error, targets = _targets() if packages["mindspore"] else (None, ())
    ascend = root / "usr/local/Ascend"
    toolkit = Path(os.environ.get("ASCEND_HOME_PATH", ascend / "ascend-toolkit/latest"))
    cuda, cudnn = _number(CUDART, "cudaRuntimeGetVersion"), _number(CUDNN, "cudnnGetVersion")
    return Machine(
        python=platform.python_version(),
        packages=packages,
        mindspore_error=error,
        targets=targets,
        npus=len(list(root.glob("dev/davinci[0-9]*"))),
        cann=_stated(toolkit / "compiler/version.info"),
        driver=_stated(ascend / "driver/version.info"),
        firmware=_stated(ascend / "firmware/version.info"),
        gpus=len(list(root.glob("dev/nvidia[0-9]*"))),
        nvidia=_found(root / "proc/driver/nvidia/version", r"Module\s.*?(\d+\.\d[\d.]*)"),
        cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        cudnn=None if cudnn is None else _cudnn_version(cudnn),
        compiler=_compiler(),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _targets() -> tuple[str | None, tuple[str, ...]]:
    """Why MindSpore cannot be imported, or on what it can compute."""
    try:
        import mindspore as ms

        return None, tuple(name for name in TARGETS if name == "CPU" or ms.hal.is_available(name))
    except Exception as error:  # whatever a broken installation raises
        return f"{type(error).__name__}: {error}".splitlines()[0], ()


def _stated(path: Path) -> str | None:
    """The version in a file of Huawei's packages."""
    return _found(path, r"(?im)^\s*version\s*=\s*(\S+)")


def _found(path: Path, pattern: str) -> str | None:
    try:
        match = re.search(pattern, path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match[1] if match else None


def _number(libraries: tuple[str, ...], function: str) -> int | None:
    """What a library that the loader finds says of its version: of CUDA 11.6 11060, of cuDNN 8.5.0 8500."""
    for name in libraries:
        try:
            call = getattr(ctypes.CDLL(name), function)
        except (OSError, AttributeError):
            continue
        if function == "cudnnGetVersion":
            call.restype = ctypes.c_size_t
            return int(call())
        number = ctypes.c_int()
        return number.value if call(ctypes.byref(number)) == 0 else None
    return None


def _cudnn_version(number: int) -> str:
    """8500 is 8.5.0; from 9 on 90100 is 9.1.0."""
    major = 1000 if number < 90000 else 10000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _compiler() -> str | None:
    try:
        said = subprocess.run([os.environ.get("CXX", "g++"), "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.splitlines()[0] if said.returncode == 0 and said.stdout else None
