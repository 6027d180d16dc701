"""Gzip files (RFC 1952): legal ones of the same content, and ones whose checksum or length is wrong."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from random import Random

from damage import SAME, SEEN, Damage, all_of
from damage_bytes import BEYOND, FOREIGN, SIZE, WITHIN

HEAD, TAIL = 10, 8  # bytes before the body as Python writes it, and of CRC-32 and length after it


def inside(change: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """``change`` made to the content of a gzip file, which is then packed again, with a right checksum."""
    return lambda content, rng: gzip.compress(change(gzip.decompress(content), rng), 1, mtime=0)


def packed_otherwise(content: bytes, rng: Random) -> bytes:
    return gzip.compress(gzip.decompress(content), rng.choice((0, 1, 9)), mtime=rng.randrange(1 << 31))


def several_members(content: bytes, rng: Random) -> bytes:
    plain = gzip.decompress(content)
    at = rng.randrange(len(plain))
    return gzip.compress(plain[:at], mtime=0) + gzip.compress(plain[at:], mtime=0)


def names_in_header(content: bytes, rng: Random) -> bytes:
    """With extra field, file name, comment and CRC of the header."""
    head = bytearray(content[:HEAD])
    head[3] = 4 | 8 | 16 | 2
    head += b"\x04\x00abcd" + b"imaging.nii\0" + b"a comment\0"
    return bytes(head) + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + _plain_header(content)[HEAD:]


def zeros_after(content: bytes, rng: Random) -> bytes:
    """Padded with zeros, as tapes and some downloads are; gzip reads such files."""
    return content + bytes(rng.randint(1, 600))


def bit_in_body(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(HEAD, len(content) - TAIL)
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def wrong_checksum(content: bytes, rng: Random) -> bytes:
    at = len(content) - TAIL + rng.randrange(4)
    return content[:at] + bytes([content[at] ^ rng.randrange(1, 256)]) + content[at + 1 :]


def wrong_length(content: bytes, rng: Random) -> bytes:
    at = len(content) - 4 + rng.randrange(4)
    return content[:at] + bytes([content[at] ^ rng.randrange(1, 256)]) + content[at + 1 :]


def unpacked(content: bytes, rng: Random) -> bytes:
    """The content under the name of the packed file."""
    return gzip.decompress(content)


def _plain_header(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content), mtime=0)


GZIP: dict[str, Damage] = {
    **all_of(SAME, packed_otherwise, several_members, names_in_header),
    **all_of(SEEN, zeros_after, bit_in_body, wrong_checksum, wrong_length, unpacked, *SIZE, *FOREIGN, *WITHIN, *BEYOND),
}
