"""Where the time and the memory of a piece of work go, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kidneyseg.system.peak_memory import own_peak

Value = TypeVar("Value")
HIGH_WATER = Path("/proc/self/clear_refs")  # Linux: writing 5 forgets the highest resident size so far


class Stopwatch:
    """A stop-watch that is always at one part: one that begins within another stops that one until it ends.

    Attributes:
        seconds: wall time by part, in the order in which they began.
        peak_mib: the most memory that the process held during each part, in MiB (resident). Where a peak cannot be
            forgotten (other systems than Linux), the most until the part's end.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}
        self._at: str | None = None
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside counts for ``name``."""
        self.seconds.setdefault(name, 0.0)
        outer = self._at
        self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def timed(self, name: str, function: Callable[..., Value]) -> Callable[..., Value]:
        """``function``, every call of which counts for ``name``."""

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
