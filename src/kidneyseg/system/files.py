"""Atomic writing of files, and checks that paths can be written."""

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
    """Yield a temporary path in the same folder; it is renamed to ``path`` if the block ends without an error.

    The folder of ``path`` is created. The temporary name has the same suffix, from which some libraries choose the
    format.

    Raises:
        InputError: as for :func:`require_writable`; no room on the disk, no permission.
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
    """Convert the system's errors in writing ``path`` to an InputError with its name."""
    try:
        yield
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise explain(path, OSError(error.errno, error.strerror)) from error


@contextmanager
def folder_beside(path: str | Path) -> Iterator[Path]:
    """Yield an empty hidden folder next to ``path``, for files to be moved to ``path``; it is deleted at the end."""
    folder = temporary_name(Path(path))
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """Return a hidden name next to ``path`` for this process, and delete such files of killed processes.

    The name contains a hash of the machine's name, because it is not known which processes run on other machines.
    """
    name, machine = path.name[-50:], f"{zlib.crc32(os.uname().nodename.encode()):08x}"  # limits the length of the name
    for leftover in path.parent.glob(f".{machine}-*.{glob.escape(name)}"):
        process = leftover.name.partition("-")[2].partition(".")[0]
        if process.isdecimal() and not _is_another_at_work(int(process)):
            _remove(leftover)
    return path.with_name(f".{machine}-{os.getpid()}.{name}")


def _is_another_at_work(process: int) -> bool:
    """Tell whether the process number ``process`` is running and is not this process."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return process != os.getpid()


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        with suppress(OSError):
            leftover.unlink()


def require_writable(file: str | Path) -> None:
    """Raise InputError if ``file`` cannot be written; commands call this before hours of work, not after."""
    file = Path(file)
    if file.is_dir():
        raise InputError(file, expected="a file to write", found="a folder", remedy="Give the file's name too")
    require_folder(file.parent)


def require_folder(folder: str | Path) -> None:
    """Raise InputError if ``folder`` cannot be written or created: its nearest existing parent must be a folder."""
    folder = Path(folder).absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise InputError(
            existing,
            expected="a folder to write to",
            remedy="Give another path",
            found="a read-only one" if existing.is_dir() else "a file",
        )


def use_default_mode(path: str | Path) -> None:
    """Set the default mode of the umask, because MindSpore writes files with mode 0600 or read-only."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, 0o666 & ~umask)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
