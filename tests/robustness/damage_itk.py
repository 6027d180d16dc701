"""NRRD and MetaImage: a text header, then the voxels, packed with zlib or gzip, which have checksums."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from damage import OTHER, SAME, SEEN, Damage, all_of
from damage_bytes import FOREIGN, SIZE

NASTY = (
    b"",
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e308",
    b"9" * 40,
    b"none",
    b"(1,2",
    b"\xff\xfe",
    b"3 3",
    b"0 0 0",
    b"32767 32767 32767",
    b"../../etc/passwd",
    b"x" * 5000,
)


def nrrd_parts(content: bytes) -> tuple[bytes, bytes]:
    """Header with the empty line that ends it, and body."""
    end = content.index(b"\n\n") + 2
    return content[:end], content[end:]


def mha_parts(content: bytes) -> tuple[bytes, bytes]:
    """Header with its last line, and body."""
    end = content.index(b"\n", content.index(b"ElementDataFile")) + 1
    return content[:end], content[end:]


def header_line(parts: Callable, change: Callable[[list[bytes], int, Random], list[bytes]]) -> Damage:
    """``change`` made to a random line of the header but its first."""

    def apply(content: bytes, rng: Random) -> bytes:
        header, body = parts(content)
        lines = header.rstrip(b"\n").split(b"\n")
        changed = change(lines, rng.randrange(1, len(lines)), rng)
        return b"\n".join(changed) + header[len(header.rstrip(b"\n")) :] + body

    return Damage(apply, OTHER)


def without(lines: list[bytes], at: int, rng: Random) -> list[bytes]:
    return lines[:at] + lines[at + 1 :]


def twice(lines: list[bytes], at: int, rng: Random) -> list[bytes]:
    return lines[:at] + lines[at : at + 1] + lines[at:]


def other_value(lines: list[bytes], at: int, rng: Random) -> list[bytes]:
    separator = b"=" if b"=" in lines[at] else b":"
    key, _, _ = lines[at].partition(separator)
    return [*lines[:at], key + separator + b" " + rng.choice(NASTY), *lines[at + 1 :]]


def one_number(lines: list[bytes], at: int, rng: Random) -> list[bytes]:
    """One word of a line replaced."""
    words = lines[at].split(b" ")
    words[rng.randrange(len(words))] = rng.choice(NASTY)
    return [*lines[:at], b" ".join(words), *lines[at + 1 :]]


def body(parts: Callable) -> Damage:
    """A bit of the packed voxels."""

    def apply(content: bytes, rng: Random) -> bytes:
        head = len(parts(content)[0])
        at = rng.randrange(head, len(content))
        return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]

    return Damage(apply, SEEN)


def comment(content: bytes, rng: Random) -> bytes:
    return content.replace(b"\n", b"\n# a comment\n", 1)


def _common(parts: Callable) -> dict[str, Damage]:
    changes = {
        change.__name__.replace("_", "-"): header_line(parts, change)
        for change in (without, twice, other_value, one_number)
    }
    return {**changes, "bit-in-body": body(parts), **all_of(SEEN, *SIZE, *FOREIGN)}


NRRD = _common(nrrd_parts) | all_of(SAME, comment)
MHA = _common(mha_parts)
