"""The one exception that means "your input, not our bug"."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path


class InputError(Exception):
    """Bad input, said once and completely. The command line prints it as one line and exits with status 2.

    Args:
        subject: the file, folder, option or recipe key at fault.
        expected: what would have been right.
        found: what is there instead.
        remedy: what the user can do about it, an imperative sentence.
    """

    def __init__(self, subject: str | Path, *, expected: str, found: str, remedy: str):
        self.subject, self.expected, self.found, self.remedy = str(subject), expected, found, remedy
        end = "" if remedy.endswith(("?", ".")) else "."
        super().__init__(f"{subject}: expected {expected}, found {found}. {remedy}{end}")

    def __reduce__(self) -> tuple[partial[InputError], tuple[()]]:
        """Pickled with its keyword arguments, so that it reaches the parent of a worker process whole."""
        return partial(InputError, self.subject, expected=self.expected, found=self.found, remedy=self.remedy), ()


def did_you_mean(word: str, words: Sequence[str]) -> str | None:
    """Ask whether a close word of ``words`` was meant by a misspelt ``word``; None when none is close."""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else None


def shortened(names: Sequence[str], limit: int = 5) -> str:
    """The first of ``names``, for one line."""
    return ", ".join(names[:limit]) + (" ..." if len(names) > limit else "")
