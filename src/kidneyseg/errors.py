"""The exception for bad input, as opposed to an error in this program."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path


class InputError(Exception):
    """Bad input. The command line prints it as one line and exits with status 2.

    Args:
        subject: the wrong file, folder, option or recipe key.
        expected: what would be correct.
        found: what was found instead.
        remedy: what the user can do about it, an imperative sentence.
    """

    def __init__(self, subject: str | Path, *, expected: str, found: str, remedy: str):
        self.subject, self.expected, self.found, self.remedy = str(subject), expected, found, remedy
        end = "" if remedy.endswith(("?", ".")) else "."
        super().__init__(f"{subject}: expected {expected}, found {found}. {remedy}{end}")

    def __reduce__(self) -> tuple[partial[InputError], tuple[()]]:
        """Pickle with the keyword arguments, so that the error passes from a worker process to its parent."""
        return partial(InputError, self.subject, expected=self.expected, found=self.found, remedy=self.remedy), ()


def did_you_mean(word: str, words: Sequence[str]) -> str | None:
    """Suggest the word of ``words`` that is most similar to the misspelt ``word``; None if none is similar."""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else None


def shortened(names: Sequence[str], limit: int = 5) -> str:
    """Join at most ``limit`` of ``names`` in one line, with "..." if there are more."""
    return ", ".join(names[:limit]) + (" ..." if len(names) > limit else "")
