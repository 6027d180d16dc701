import base64
from html.parser import HTMLParser

import pytest

from kidneyseg.metrics.summary import score_fold
from kidneyseg.report.html import write_report
from kidneyseg.report.plots import boxplot
from kidneyseg.report.tables import COLUMNS

VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Collects what the assertions need, and that every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.images, self.words, self.tags = [], [], [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(["", dict(attrs).get("class")])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1][0] += data
        self.words.append(data)


def fold(**composites):
    cases = [{"case": name, **{column.key: value for column in COLUMNS}} for name, value in composites.items()]
    return score_fold(cases, missing=["c"])


def test_page_holds_everything(tmp_path):
    scores = fold(a=0.9, b=0.3, c=0.0, d=float("nan"))
    picture = boxplot({"fold 0": scores}, tmp_path / "box.png")
    path = write_report(
        tmp_path / "new" / "report.html",
        title="Fold 0 <mplab>",
        scores={"Fold 0": scores},
        figures=[("Dice & co", picture)],
        facts={"recipe": "mplab_small"},
        command="kidneyseg report --fold 0",
    )
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "Fold 0 <mplab>" in page.words  # escaped in the source, and so shown as it is
    assert "script" not in page.tags and "link" not in page.tags and "http" not in text
    assert page.images[0]["alt"] == "Dice & co"
    kind, _, data = page.images[0]["src"].partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data) == picture.read_bytes()
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    assert "kidneyseg report --fold 0" in text and ["recipe", "mplab_small"] in [[c for c, _ in r] for r in page.rows]
    assert any("scored as empty: c" in words for words in page.words)


def test_worst_case_first_and_low_scores_marked(tmp_path):
    page = Page(write_report(tmp_path / "r.html", title="t", scores={"F": fold(a=0.9, b=0.3, c=0.0)}).read_text())
    names = [row[0][0] for row in page.rows]
    assert names == ["", "case", "c", "b", "a", "mean", "SD"]
    body = {row[0][0]: row for row in page.rows}
    assert body["b"][1] == ["0.300", "low"] and body["a"][1] == ["0.900", None]
    assert body["b"][-1] == ["0.3", None]  # a volume, not an overlap
    assert body["mean"][1][0] == "0.400"
    assert len({len(row) for row in page.rows[1:]}) == 1


def test_page_without_scores(tmp_path):
    page = Page(write_report(tmp_path / "r.html", title="Only a title").read_text())
    assert "table" not in page.tags and "Only a title" in page.words


def test_figure_of_another_kind(tmp_path):
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        write_report(tmp_path / "r.html", title="t", figures=[("x", tmp_path / "x.svg")])
    assert not (tmp_path / "r.html").exists()
