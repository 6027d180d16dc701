"""Compressed files read to their end, so that every checksum in them is looked at.

gzip members end in a CRC-32 and their size, zlib streams in an Adler-32. Libraries that stop once they have the voxels
they want never come to them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

GZIP_START = b"\x1f\x8b"
MOST_TIMES = 1032  # a deflate stream holds at most so many times its own size
BLOCK_BYTES = 1 << 16
WINDOW_BITS = {"gzip": 31, "zlib": 15}  # by which zlib tells one from the other


def blocks_of(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """What ``file`` holds from where it stands, in small blocks; several members one after the other count as one.

    Args:
        encoding: "gzip", "zlib" or "raw".

    Raises:
        zlib.error: a checksum or size that does not agree, or something else after the last member than zeros.
        EOFError: it ends within a member.
    """
    read = iter(partial(file.read, BLOCK_BYTES), b"")
    return read if encoding == "raw" else _inflated(read, WINDOW_BITS[encoding])


def _inflated(blocks: Iterator[bytes], window_bits: int) -> Iterator[bytes]:
    member = zlib.decompressobj(window_bits)
    for block in blocks:
        while block:
            if member.eof:
                block = block.lstrip(b"\0")
                member = zlib.decompressobj(window_bits) if block else member
            if block:
                yield member.decompress(block)
                block = member.unused_data
    if not member.eof:
        raise EOFError("it ends before its compressed data do")


class Content:
    """Bytes handed out in order from blocks.

    Args:
        blocks: as of :func:`blocks_of`, whose errors every method may raise.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks, self.left = blocks, memoryview(b"")

    def fill(self, target: memoryview) -> int:
        """Write the next bytes to ``target``; returns how many: fewer than it holds at the end."""
        done = 0
        while done < len(target) and self._more():
            part = self.left[: len(target) - done]
            target[done : done + len(part)] = part
            self.left = self.left[len(part) :]
            done += len(part)
        return done

    def skip(self, count: int) -> None:
        """Leave out the next ``count`` bytes."""
        while count > 0 and self._more():
            part = min(count, len(self.left))
            self.left, count = self.left[part:], count - part

    def rest(self) -> int:
        """How many bytes are left; after this none are, and all checksums have been looked at."""
        left, self.left = len(self.left), memoryview(b"")
        return left + sum(map(len, self.blocks))

    def _more(self) -> bool:
        while not self.left:
            block = next(self.blocks, None)
            if block is None:
                return False
            self.left = memoryview(block)
        return True
