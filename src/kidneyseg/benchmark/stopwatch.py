"""Measurement of time and memory of the parts of a computation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kidneyseg.system.peak_memory import own_peak

Value = TypeVar("Value")
HIGH_WATER = Path("/proc/self/clear_refs")  # Linux: writing 5 resets the peak resident size


class Stopwatch:
    """A stop-watch for parts. A part within another part interrupts the time of the outer part.

    Attributes:
        seconds: part -> wall time, in the order in which the parts started.
        peak_mib: part -> peak resident memory of the process during the part, MiB. If the peak cannot be reset (systems
            other than Linux), the peak until the end of the part.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}
        self._at: str | None = None
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure the block as the part ``name``."""
        self.seconds.setdefault(name, 0.0)
        outer = self._at
        self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def timed(self, name: str, function: Callable[..., Value]) -> Callable[..., Value]:
        """Wrap ``function`` so that every call is measured as the part ``name``."""

        def call(*args: object, **options: object) -> Value:
            with self.part(name):
                return function(*args, **options)

        return call

    def _switch(self, name: str | None) -> None:
        now = time.perf_counter()
        if self._at is not None:
            self.seconds[self._at] += now - self._since
            self.peak_mib[self._at] = max(self.peak_mib.get(self._at, 0.0), own_peak())
        if HIGH_WATER.exists():
            HIGH_WATER.write_text("5", encoding="ascii")
        self._at, self._since = name, time.perf_counter()
