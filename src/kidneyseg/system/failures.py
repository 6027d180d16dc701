"""Conversion of any error to one line for the user."""

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
    errno.EDQUOT: ("room within the disk quota", "Delete some of your files, or write to another disk"),
    errno.EFBIG: ("a file size below the system's limit", "Raise the limit (ulimit -f), or write to another disk"),
    errno.EROFS: ("a disk to write to", "Give a path on a disk that is not read-only"),
    errno.EACCES: ("permission", "Change the permissions, or give another path"),
    errno.EPERM: ("permission", "Change the permissions, or give another path"),
    errno.ENAMETOOLONG: ("a name that the file system accepts", "Give shorter names"),
}
LONGEST = 300  # letters of another library's message


def explain(subject: str | Path, error: BaseException) -> InputError:
    """Convert ``error`` to an InputError about ``subject`` (a case, file or command); an InputError is not changed.

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
            remedy="Check the scan's size and spacing, free memory, or give fewer --workers",
        )
    if isinstance(error, BrokenProcessPool):
        return InputError(
            subject,
            expected="a worker process that finishes",
            found="one that was killed, most likely because memory was full",
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
        remedy="Run it again with --debug, which prints the traceback, and report it",
    )


def cause(error: BaseException) -> str:
    """Format an error in one line, without the C++ call stack and the headings of MindSpore's messages."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    text, *stack = re.split(r"\n-+\n- C\+\+ Call Stack", str(error), maxsplit=1)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("-")]
    message = " ".join((lines[-1:] if stack else lines) or ["no message"])
    return f"{type(error).__name__}: {message if len(message) <= LONGEST else message[:LONGEST] + ' ...'}"


def _number(error: BaseException) -> int | None:
    """Return the system's error number, or that of the text in an error of MindSpore."""
    if isinstance(error, OSError):
        return error.errno
    if "No free disk" in str(error):  # MindRecord
        return errno.ENOSPC
    return next((number for number in CANNOT_WRITE if os.strerror(number) in str(error)), None)
