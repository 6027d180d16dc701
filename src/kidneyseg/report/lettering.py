"""Users' names in pictures, in any script for which a font is installed; "$" does not start a formula."""

from __future__ import annotations

from functools import cache
from textwrap import wrap

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font

LINE = 110  # letters per line
PLACEHOLDERS = "Last Resort"  # a font that draws a box for every letter


def lettering(text: str) -> tuple[str, dict]:
    """Prepare ``text`` for Matplotlib.

    A letter that no installed font has is replaced by its code, for example ``\\u6a21``.

    Returns:
        The text to draw, and the options of the Matplotlib text.
    """
    fonts = {letter: _font_with(letter) for letter in text}
    drawn = "".join(letter if fonts[letter] is not None else _code(letter) for letter in text)
    others = dict.fromkeys(font for font in fonts.values() if font)
    return _wrapped(drawn).replace("$", r"\$"), {"fontfamily": [*rcParams["font.family"], *others]}


def _wrapped(text: str) -> str:
    return text if len(text) <= LINE else "\n".join(wrap(text, LINE))


def _code(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode("ascii") if letter.isprintable() else "?"


@cache
def _font_with(letter: str) -> str | None:
    """Return the family of a font that has ``letter``: "" for the default font; None if there is none."""
    if ord(letter) in _letters(findfont(FontProperties())):
        return ""
    found = (
        font.name
        for font in fontManager.ttflist
        if not font.name.startswith(PLACEHOLDERS) and ord(letter) in _letters(font.fname)
    )
    return next(found, None)


@cache
def _letters(path: str) -> frozenset[int]:
    return frozenset(FT2Font(path).get_charmap())
