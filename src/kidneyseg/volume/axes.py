"""One value per axis, (z, y, x)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")
PerAxis = tuple[Value, Value, Value]


def per_axis(values: Iterable[Value]) -> PerAxis[Value]:
    """The three ``values``, such as the shape of a volume, as a tuple. Raises ValueError unless there are three."""
    z, y, x = values
    return z, y, x
