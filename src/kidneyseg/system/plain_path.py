"""Paths and names for MindSpore, which does not accept all letters that a file system accepts."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kidneyseg.errors import InputError

PLAIN = re.compile(r"[0-9a-zA-Z@_\-.:/]+")  # accepted by `mindspore.export`
PLACES = ("/tmp", "/var/tmp", "/dev/shm")
REFUSED = re.compile(r"""[\\/:*?"<>|`&';\x00-\x1f\udc80-\udcff]""")  # not accepted by MindRecord's `FileWriter`
LONGEST = 100  # bytes; a file name may have 255


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """Yield a path to the existing ``folder`` that MindSpore accepts: itself, or a link that is deleted at the end.

    Raises:
        InputError: there is no place for the link.
    """
    if PLAIN.fullmatch(str(folder.absolute())):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="kidneyseg-", dir=_place()) as place:
        link = Path(place) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def plain_name(name: str) -> str:
    """Convert ``name`` for a MindRecord file name: unchanged if accepted, else its accepted letters and a hash."""
    known = name.encode("utf-8", "surrogateescape")
    plain = REFUSED.sub("_", name).strip()
    if plain == name and len(known) <= LONGEST:
        return name
    return f"{plain[: LONGEST // 4]}-{hashlib.sha256(known).hexdigest()[:12]}"


def _place() -> str:
    places = [place for place in (tempfile.gettempdir(), *PLACES) if PLAIN.fullmatch(place) and Path(place).is_dir()]
    if not places:
        raise InputError(
            tempfile.gettempdir(),
            expected="a temporary folder whose path has no special letters",
            found="none",
            remedy="Set TMPDIR to one",
        )
    return places[0]
