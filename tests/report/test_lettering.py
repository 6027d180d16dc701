"""Names in pictures: every letter is drawn or written as its code, and nothing is mathematics."""

from __future__ import annotations

import warnings

import pytest
from matplotlib.figure import Figure

from kidneyseg.report import lettering as module
from kidneyseg.report.lettering import lettering


@pytest.fixture(autouse=True)
def fresh():
    module._font_with.cache_clear()
    yield
    module._font_with.cache_clear()


@pytest.mark.parametrize("name", ["case_00000", "$x^$ 5 $", "模型", "\t", "\udcff", "x" * 300, "\\$a"])
def test_any_name_is_drawn_without_noise(name, tmp_path):
    text, style = lettering(name)
    figure = Figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.suptitle(text, **style)
        figure.savefig(tmp_path / "a.png")
    assert all(len(line) < 120 for line in text.splitlines())


def test_letters_without_a_font_are_codes(monkeypatch):
    monkeypatch.setattr(module.fontManager, "ttflist", [])
    assert lettering("a模$") == (r"a\u6a21\$", {"fontfamily": ["sans-serif"]})


def test_an_installed_font_that_has_the_letter_is_used(monkeypatch):
    class Font:
        name, fname = "Some Hei", "hei.ttf"

    letters = module._letters
    monkeypatch.setattr(module, "_letters", lambda path: {ord("模")} if path == "hei.ttf" else letters(path))
    monkeypatch.setattr(module.fontManager, "ttflist", [Font])
    assert lettering("a模") == ("a模", {"fontfamily": ["sans-serif", "Some Hei"]})
