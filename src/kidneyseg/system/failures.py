"""Any error as the one line that a user can act on."""

from __future__ import annotations

import errno
import logging
import os
import re
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from kidneyseg.errors import InputError

LOG = logging.getLogger("kidneyseg")  # shows tracebacks with `kidneyseg --debug`

CANNOT_WRITE = {
    errno.ENOSPC: ("room on the disk", "Free some room, or write to another disk"),
    errno.EDQUOT: ("room within the disk quota", "Delete files of yours, or write to another disk"),
    errno.EFBIG: ("a file that the system lets grow", "Raise the limit (ulimit -f), or write to another disk"),
    errno.EROFS: ("a disk to write to", "Give a path on a disk that is not read-only"),
    errno.EACCES: ("permission", "Change the permissions, or give another path"),
    errno.EPERM: ("permission", "Change the permissions, or give another path"),
    errno.ENAMETOOLONG: ("a name that the file system takes", "Give shorter names"),
}
LONGEST = 300  # letters of another library's message


def explain(subject: str | Path, error: BaseException) -> InputError:
    """``error``, which befell ``subject`` (a case, file or command), as an InputError; an InputError stays as it is.

    The traceback is logged for --debug.
    """
    if isinstance(error, InputError):
        return error
    LOG.debug("%s", subject, exc_info=error)
    if isinstance(error, MemoryError):
        return InputError(
            subject,
            expected="enough memory",
            found=f"too little ({cause(error)})",
            remedy="Look at the scan's size and spacing, free memory, or give fewer --workers",
        )
    if isinstance(error, BrokenProcessPool):
        return InputError(
            subject,
            expected="a worker process that finishes",
            found="one that was killed, most likely for lack of memory",
            remedy="Free memory, use fewer --workers, or leave this case out",
        )
    if (number := _number(error)) in CANNOT_WRITE:
        expected, remedy = CANNOT_WRITE[number]
        return InputError(
            getattr(error, "filename", None) or subject, expected=expected, found=os.strerror(number), remedy=remedy
        )
    return InputError(
        subject,
        expected="no failure",
        found=cause(error),
        remedy="Run it again with --debug, which shows where it happened, and report it",
    )


def cause(error: BaseException) -> str:
    """What an error says in one line. Of MindSpore's texts, their C++ call stack and headings are left out."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    text, *stack = re.split(r"\n-+\n- C\+\+ Call Stack", str(error), maxsplit=1)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("-")]
    said = " ".join((lines[-1:] if stack else lines) or ["no message"])
    return f"{type(error).__name__}: {said if len(said) <= LONGEST else said[:LONGEST] + ' ...'}"


def _number(error: BaseException) -> int | None:
    """The system's error number, also where MindSpore says it in words only."""
    if isinstance(error, OSError):
        return error.errno
    if "No free disk" in str(error):  # MindRecord
        return errno.ENOSPC
    return next((number for number in CANNOT_WRITE if os.strerror(number) in str(error)), None)
