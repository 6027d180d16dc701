"""Reading of compressed files to their end, so that all their checksums are verified.

gzip members end with a CRC-32 and their size, zlib streams with an Adler-32. Libraries that stop reading after the last
voxel never verify them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

GZIP_START = b"\x1f\x8b"
MOST_TIMES = 1032  # maximum compression ratio of deflate
BLOCK_BYTES = 1 << 16
WINDOW_BITS = {"gzip": 31, "zlib": 15}  # zlib's parameter that selects the format


def blocks_of(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Read and decompress ``file`` from its current position, in small blocks; several members are joined.

    Args:
        file: the file.
        encoding: "gzip", "zlib" or "raw".

    Raises:
        zlib.error: a wrong checksum or size, or bytes other than zeros after the last member.
        EOFError: the file ends within a member.
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
        raise EOFError("it ends before the end of its compressed data")


class Content:
    """A stream of bytes from blocks.

    Args:
        blocks: result of :func:`blocks_of`; every method may raise its errors.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks, self.left = blocks, memoryview(b"")

    def fill(self, target: memoryview) -> int:
        """Write the next bytes to ``target``. Returns their number, which is smaller than its size at the end."""
        done = 0
        while done < len(target) and self._more():
            part = self.left[: len(target) - done]
            target[done : done + len(part)] = part
            self.left = self.left[len(part) :]
            done += len(part)
        return done

    def skip(self, count: int) -> None:
        """Skip the next ``count`` bytes."""
        while count > 0 and self._more():
            part = min(count, len(self.left))
            self.left, count = self.left[part:], count - part

    def rest(self) -> int:
        """Read the remaining bytes, so that all checksums are verified. Returns their number."""
        left, self.left = len(self.left), memoryview(b"")
        return left + sum(map(len, self.blocks))

    def _more(self) -> bool:
        while not self.left:
            block = next(self.blocks, None)
            if block is None:
                return False
            self.left = memoryview(block)
        return True
