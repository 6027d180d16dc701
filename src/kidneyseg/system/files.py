"""Files that appear complete or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.system.failures import CANNOT_WRITE, explain


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it becomes ``path`` when the block ends without an error.

    The folder of ``path`` is made. The temporary name keeps the suffix, which tells some libraries the format.

    Raises:
        InputError: as :func:`require_writable`; no room on the disk, no permission.
    """
    path = Path(path)
    require_writable(path)
    partial = temporary_name(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):  # of a name too long, for example
            partial.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what the system says against writing ``path`` into an InputError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise explain(path, OSError(error.errno, error.strerror)) from error


@contextmanager
def folder_beside(path: str | Path) -> Iterator[Path]:
    """An empty hidden folder beside ``path``, for what becomes ``path`` by a move; the block's end removes it."""
    folder = temporary_name(Path(path))
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` of this process's own. What killed processes left under such names is removed.

    The machine's name, in a few letters, is a part of it: of other machines' processes nothing is known here.
    """
    name, machine = path.name[-50:], f"{zlib.crc32(os.uname().nodename.encode()):08x}"  # no longer than a name may be
    for leftover in path.parent.glob(f".{machine}-*.{glob.escape(name)}"):
        process = leftover.name.partition("-")[2].partition(".")[0]
        if process.isdecimal() and not _is_another_at_work(int(process)):
            _remove(leftover)
    return path.with_name(f".{machine}-{os.getpid()}.{name}")


def _is_another_at_work(process: int) -> bool:
    """Whether ``process``, a number, is a living one but this."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return process != os.getpid()


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        with suppress(OSError):
            leftover.unlink()


def require_writable(file: str | Path) -> None:
    """Raise InputError unless ``file`` can be written: commands ask before hours of work, not after."""
    file = Path(file)
    if file.is_dir():
        raise InputError(file, expected="a file to write", found="a folder", remedy="Give the file's name too")
    require_folder(file.parent)


def require_folder(folder: str | Path) -> None:
    """Raise InputError unless ``folder`` can be written to, or made: its nearest parent that exists is a folder."""
    folder = Path(folder).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(
            there,
            expected="a folder to write to",
            remedy="Give another path",
            found="a read-only one" if there.is_dir() else "a file",
        )


def use_default_mode(path: str | Path) -> None:
    """Give a file the mode that the umask gives new ones: MindSpore makes its own 0600 or read-only."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, 0o666 & ~umask)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
