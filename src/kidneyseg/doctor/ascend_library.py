"""Which operators MindSpore's own libraries for Ascend have kernels of, read from the names of the classes in them.

The names are those that C++ keeps for its type information: `N9mindspore6kernel10group_norm15GroupNormAscendE` is the
class GroupNormAscend. That a name is there says that MindSpore was built with such a kernel, not that it runs.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ACLNN_LIBRARY = "lib/plugin/libmindspore_ops_ascend.so"
CANN_LIBRARY = "lib/plugin/ascend/libmindspore_ascend_res_manager.so"
KERNEL = re.compile(rb"N9mindspore6kernel(?=\d)([\w]+)")
ADAPTER = re.compile(rb"OpAdapterIN\w+?_(?=\d)([\w]+)")
PART = re.compile(rb"(\d+)")
WRAPPING = re.compile(r"^(?:Aclnn)?(.+?)(?:AclnnKernelMod|KernelMod|Ascend)$")


@dataclass(frozen=True)
class Kernels:
    """Operators in small letters: those with an aclnn kernel, and those that MindSpore hands to an operator of CANN."""

    aclnn: frozenset[str]
    cann: frozenset[str]

    def what(self, operator: str) -> str:
        """Which kind of kernel ``operator`` has: aclnn, CANN operator or, if none of that name is found, nothing."""
        name = operator.lower()
        if name in self.aclnn:
            return "aclnn"
        return "CANN operator" if name in self.cann or f"{name}d" in self.cann else ""


@cache
def kernels() -> Kernels | None:
    """Of the MindSpore that is installed; None where it has no libraries for Ascend."""
    found = find_spec("mindspore")
    root = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else Path()
    if not (root / ACLNN_LIBRARY).is_file() or not (root / CANN_LIBRARY).is_file():
        return None
    return Kernels(frozenset(_aclnn(root / ACLNN_LIBRARY)), frozenset(_cann(root / CANN_LIBRARY)))


def _aclnn(library: Path) -> Iterator[str]:
    for names in _classes(library, KERNEL):
        match = WRAPPING.match(names[-1])
        if match and names[0] != "pyboost":  # what PyNative mode calls
            yield match[1].lower()


def _cann(library: Path) -> Iterator[str]:
    for names in _classes(library, ADAPTER):
        yield names[0].removeprefix("cz").lower()


def _classes(library: Path, pattern: re.Pattern) -> Iterator[list[str]]:
    """The parts, namespaces and the class, of all names that follow ``pattern``."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = {match[1] for match in pattern.finditer(data)}
    for rest in found:
        names = []
        while length := PART.match(rest):
            end = length.end() + int(length[1])
            names.append(rest[length.end() : end].decode())
            rest = rest[end:]
        if names and all(names):
            yield names
