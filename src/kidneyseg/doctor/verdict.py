"""Whether a device is documented to run the operators of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kidneyseg.doctor import ascend_library, mindspore_docs
from kidneyseg.doctor.graphs import Operator

OK, WRONG, UNKNOWN = "OK", "wrong", "unknown"


@dataclass(frozen=True)
class Line:
    """What is known of one kind of operator with one combination of types.

    Attributes:
        inference, training: how many there are in either graph.
        platforms: that MindSpore documents; empty: none are documented.
        state: OK, wrong or, where neither documentation nor a kernel of that name is found, unknown.
        notes: what is wrong, which kernel an Ascend has, and what MindSpore says of the device.
    """

    operator: str
    types: tuple[str, ...]
    inference: int
    training: int
    platforms: tuple[str, ...]
    state: str
    notes: tuple[str, ...]


def judge(inference: Counter[Operator], training: Counter[Operator], target: str) -> list[Line]:
    """One line for each kind of operator and its types, by name."""
    return [
        _line(operator, inference[operator], training[operator], target)
        for operator in sorted({*inference, *training}, key=lambda one: (one.name, one.types))
    ]


def summary(lines: Sequence[Line], target: str) -> str:
    """The verdict, in one line."""
    for state, said in (
        (WRONG, f"not documented to run on {target}"),
        (UNKNOWN, f"it may run on {target}, nothing is known of these operators"),
    ):
        names = sorted({line.operator for line in lines if line.state == state})
        if names:
            return f"{said}: {', '.join(names)}"
    return f"every operator is documented for {target} or has a kernel there"


def _line(operator: Operator, inference: int, training: int, target: str) -> Line:
    documentation = mindspore_docs.look_up(operator.name)
    platforms, kernel = documentation.platforms, _kernel(operator.name, target)
    wrong = [f"documented for {', '.join(platforms)} alone"] if platforms and target not in platforms else []
    for index, given in enumerate(operator.types):
        able = documentation.types(target, index)
        if given and able is not None and not able.issuperset(given.split("/")):
            wrong.append(f"input {index + 1} is {given}, documented for {target}: {', '.join(sorted(able))}")
    state = WRONG if wrong else OK if platforms or kernel else UNKNOWN
    if target == "Ascend":
        wrong.append(kernel or "no kernel of this name found")
    return Line(
        operator.name, operator.types, inference, training, platforms, state, (*wrong, *documentation.notes(target))
    )


def _kernel(operator: str, target: str) -> str:
    known = ascend_library.kernels() if target == "Ascend" else None
    return known.what(operator) if known else ""
