"""Streams against what Python's own gzip and zlib write, and every damage that those checksums are for."""

import gzip
import io
import zlib

import numpy as np
import pytest

from kidneyseg.volume.compressed import Content, blocks_of

DATA = np.random.default_rng(0).integers(0, 50, 200_000).astype(np.uint8).tobytes()
WRITTEN = {"gzip": gzip.compress(DATA), "zlib": zlib.compress(DATA), "raw": DATA}


def read(data: bytes, encoding: str) -> bytes:
    return b"".join(blocks_of(io.BytesIO(data), encoding))


@pytest.mark.parametrize("encoding", WRITTEN)
def test_what_was_written_is_read(encoding):
    assert read(WRITTEN[encoding], encoding) == DATA


def test_members_follow_each_other_and_zeros_may_come_last():
    parts = gzip.compress(DATA[:70_000]) + gzip.compress(b"") + gzip.compress(DATA[70_000:])
    assert read(parts, "gzip") == DATA
    assert read(parts + bytes(70_000), "gzip") == DATA


@pytest.mark.parametrize("encoding", ["gzip", "zlib"])
@pytest.mark.parametrize("damage", ["bit", "checksum", "cut", "checksum cut", "garbage", "empty"])
def test_damage_is_an_error(encoding, damage):
    whole = WRITTEN[encoding]
    middle, end = len(whole) // 2, len(whole) - (8 if encoding == "gzip" else 4)
    data = {
        "bit": whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :],
        "checksum": whole[:end] + bytes([whole[end] ^ 1]) + whole[end + 1 :],
        "cut": whole[:middle],
        "checksum cut": whole[:-1],
        "garbage": whole + b"more",
        "empty": b"",
    }[damage]
    with pytest.raises((zlib.error, EOFError)):
        read(data, encoding)


def test_a_size_that_is_not_the_member_s_is_an_error():
    with pytest.raises(zlib.error):
        read(WRITTEN["gzip"][:-4] + np.uint32(len(DATA) + 1).tobytes(), "gzip")


def test_content_is_handed_out_in_order():
    content = Content(iter([b"abc", b"", b"defgh", b"i"]))
    target = bytearray(4)
    assert content.fill(memoryview(target)) == 4 and target == b"abcd"
    content.skip(2)
    assert content.fill(memoryview(target)[:1]) == 1 and target[:1] == b"g"
    assert content.rest() == 2 and content.fill(memoryview(target)) == 0
