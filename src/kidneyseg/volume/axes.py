"""One value per axis, (z, y, x)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")
PerAxis = tuple[Value, Value, Value]


def per_axis(values: Iterable[Value]) -> PerAxis[Value]:
    """Return ``values``, such as the shape of a volume, as a tuple. Raises ValueError if there are not three."""
    z, y, x = values
    return z, y, x
