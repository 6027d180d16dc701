"""Damage to any file: what disks, downloads and copies do."""

from __future__ import annotations

from random import Random


def cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def cut_tail(content: bytes, rng: Random) -> bytes:
    return content[: -rng.randint(1, min(16, len(content) - 1))]


def empty(content: bytes, rng: Random) -> bytes:
    return b""


def bit(content: bytes, rng: Random) -> bytes:
    """One bit flipped."""
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def bits(content: bytes, rng: Random) -> bytes:
    for _ in range(20):
        content = bit(content, rng)
    return content


def zeros(content: bytes, rng: Random) -> bytes:
    """A run of zeros, as of a block that was never written."""
    return _over(content, bytes(rng.randint(16, 512)), rng)


def noise(content: bytes, rng: Random) -> bytes:
    """A run of random bytes."""
    return _over(content, rng.randbytes(rng.randint(4, 256)), rng)


def lost_run(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randint(1, 64) :]


def run_inserted(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]


def garbage_after(content: bytes, rng: Random) -> bytes:
    return content + rng.randbytes(rng.randint(1, 1000))


def doubled(content: bytes, rng: Random) -> bytes:
    return content + content


def web_page(content: bytes, rng: Random) -> bytes:
    return b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n"


def git_lfs(content: bytes, rng: Random) -> bytes:
    return (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + rng.randbytes(32).hex().encode()
        + b"\nsize 12345\n"
    )


def all_noise(content: bytes, rng: Random) -> bytes:
    return rng.randbytes(len(content))


def _over(content: bytes, run: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + run[: len(content) - at] + content[at + len(run) :]


SIZE = (cut, cut_tail, empty)
FOREIGN = (web_page, git_lfs, all_noise)
WITHIN = (bit, bits, zeros, noise, lost_run, run_inserted)
BEYOND = (garbage_after, doubled)
