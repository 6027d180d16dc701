"""``weights FILE``: the digest of the arrays in a checkpoint, without the times that are noted beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import mindspore as ms


def main(argv: Sequence[str]) -> int:
    entries = ms.load_checkpoint(argv[0])
    arrays = {name: value.asnumpy() for name, value in entries.items() if isinstance(value, ms.Parameter)}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(repr((name, arrays[name].shape, arrays[name].dtype)).encode() + arrays[name].tobytes())
    print(digest.hexdigest())
    return 0
