"""What a kind of damage is: a function of a file's bytes and a random generator, and what may come of it.

Whatever the damage, no command may end in a traceback, hang, die, or leave half a file. Beyond that it depends:

- ``SAME``: the file is legal and means the same; the result must be that of the undamaged file.
- ``SEEN``: the damage can be seen, by a checksum, a size or a value that means nothing; either it is refused or the
  result is that of the undamaged file.
- ``OTHER``: the file may be legal and mean something else, such as a flipped bit in a body without a checksum; nobody
  can see that, so the result may be another one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

SAME, SEEN, OTHER = "same", "seen", "other"


class Damage(NamedTuple):
    """``apply(content, rng)`` returns the damaged content; ``effect`` is SAME, SEEN or OTHER."""

    apply: Callable[[bytes, Random], bytes]
    effect: str


def all_of(effect: str, *functions: Callable[[bytes, Random], bytes]) -> dict[str, Damage]:
    """Damages of one effect, called as their functions."""
    return {function.__name__.replace("_", "-"): Damage(function, effect) for function in functions}


def renamed(prefix: str, damages: dict[str, Damage]) -> dict[str, Damage]:
    return {f"{prefix}-{name}": damage for name, damage in damages.items()}
