"""Fold scores for the terminal and as JSON, CSV and Markdown files."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from kidneyseg.errors import InputError
from kidneyseg.metrics.summary import FoldScores, Score, score_fold
from kidneyseg.system.config_files import read_json
from kidneyseg.system.files import write_text


@dataclass(frozen=True)
class Column:
    """A column of the printed tables: two lines of heading, key in the scores, number of decimals."""

    group: str
    heading: str
    key: str
    decimals: int

    def format(self, scores: Score) -> str:
        """Format the number, or a dash if it is not defined."""
        value = float(scores[self.key])
        return "-" if math.isnan(value) else f"{value:.{self.decimals}f}"


COLUMNS = (
    Column("Dice", "kidney", "kidney", 3),
    Column("Dice", "tumour", "tumour", 3),
    Column("Dice", "comp.", "composite", 3),
    Column("Dice", "masses", "dice_masses", 3),
    Column("Surface Dice", "kidney", "surface_dice_kidney_and_masses", 3),
    Column("Surface Dice", "masses", "surface_dice_masses", 3),
    Column("Surface Dice", "tumour", "surface_dice_tumour", 3),
    Column("HD95 mm", "kidney", "hd95_kidney_and_masses", 1),
    Column("HD95 mm", "masses", "hd95_masses", 1),
    Column("HD95 mm", "tumour", "hd95_tumour", 1),
    Column("Kidney ml", "truth", "volume_ml_kidney_and_masses_truth", 0),
    Column("Kidney ml", "pred.", "volume_ml_kidney_and_masses_prediction", 0),
    Column("Tumour ml", "truth", "volume_ml_tumour_truth", 1),
    Column("Tumour ml", "pred.", "volume_ml_tumour_prediction", 1),
)
NAME_WIDTH, WIDTH = 20, 7


class ScoresFile(TypedDict):
    """The entries of a file of ``write_json`` that ``read_scores`` reads; it computes means and SD again."""

    cases: Annotated[list[dict[str, str | float | None]], Field(min_length=1)]
    missing: list[str]
    without_truth: list[str]
    failed: NotRequired[dict[str, str]]  # missing in files of earlier versions


def write_scores(scores: FoldScores, stem: str | Path) -> list[Path]:
    """Write ``STEM.json``, ``STEM.csv`` and ``STEM.md``, each atomically. Returns their paths.

    The JSON file has all values (undefined: null), the CSV file one row per case with all keys (undefined: empty), the
    Markdown file the most important columns, with mean and SD.
    """
    contents = {".csv": _csv(scores), ".md": format_markdown(scores)}
    paths = [write_json(scores, f"{stem}.json")]
    for suffix, text in contents.items():
        paths.append(Path(f"{stem}{suffix}"))
        write_text(paths[-1], text)
    return paths


def write_json(scores: FoldScores, path: str | Path) -> Path:
    """Write all ``scores`` as JSON, atomically; undefined values are null. :func:`read_scores` reads the file."""
    content = {
        "cases": [_nullable(case) for case in scores.cases],
        "mean": _nullable(scores.mean),
        "sd": _nullable(scores.sd),
        "undefined": scores.undefined,
        "missing": scores.missing,
        "without_truth": scores.without_truth,
        "failed": scores.failed,
    }
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    return Path(path)


def read_scores(path: str | Path) -> FoldScores:
    """Read a file of :func:`write_json`; null becomes NaN. Raises InputError for other files."""
    fault = {"expected": "scores that `kidneyseg eval` wrote", "remedy": "Run `kidneyseg eval` first"}
    content = read_json(path, ScoresFile, **fault)
    for number, case in enumerate(content["cases"]):
        lacking = sorted({"case", *content["cases"][0], *(column.key for column in COLUMNS)} - case.keys())
        texts = [key for key, value in case.items() if isinstance(value, str) != (key == "case")]
        if lacking or texts:
            what = f"without {lacking[0]}" if lacking else f"with {texts[0]} {case[texts[0]]!r}"
            raise InputError(path, found=f"case {number} {what}", **fault)
    cases = [{key: math.nan if value is None else value for key, value in case.items()} for case in content["cases"]]
    return score_fold(
        cases, missing=content["missing"], without_truth=content["without_truth"], failed=content.get("failed")
    )


def format_table(scores: FoldScores) -> str:
    """Format the scores for the terminal: a line per case, mean and SD, and notes; at most 120 columns wide."""
    rule = "-" * (NAME_WIDTH + WIDTH * len(COLUMNS))
    lines = [_groups(), _line("case", [column.heading for column in COLUMNS]), rule]
    lines += [_row(_shorten(str(case["case"])), case) for case in scores.cases]
    lines += [rule, _row("mean", scores.mean), _row("SD", scores.sd)]
    lines += ["", mean_and_sd(scores), *(textwrap.fill(note, 120, subsequent_indent="  ") for note in notes(scores))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def format_markdown(scores: FoldScores) -> str:
    """Format the scores as a Markdown table, with mean and SD in the last two rows, and notes."""
    headings = ["case", *(f"{column.group} {column.heading}" for column in COLUMNS)]
    named = [(str(case["case"]).replace("|", "\\|"), case) for case in scores.cases]
    named += [("**mean**", scores.mean), ("**SD**", scores.sd)]
    rows = [[name, *(column.format(row) for column in COLUMNS)] for name, row in named]
    lines = ["| " + " | ".join(row) + " |" for row in (headings, ["---", *["---:"] * len(COLUMNS)], *rows)]
    return "\n".join([*lines, "", mean_and_sd(scores), "", *(f"- {note}" for note in notes(scores))]).rstrip() + "\n"


def mean_and_sd(scores: FoldScores) -> str:
    """Format the three scores of KiTS19 in one line."""
    parts = [f"{key} {scores.mean[key]:.4f} +/- {scores.sd[key]:.4f}" for key in ("kidney", "tumour", "composite")]
    cases = "1 case" if len(scores.cases) == 1 else f"{len(scores.cases)} cases"
    return f"mean +/- SD over {cases}: {', '.join(parts)}"


def notes(scores: FoldScores) -> list[str]:
    """List what a reader must know: cases without prediction, without true mask, failed, or without a distance."""
    lines = []
    if scores.missing:
        lines.append(f"no prediction, scored as empty: {', '.join(scores.missing)}")
    if scores.without_truth:
        lines.append(f"prediction without truth, not scored: {', '.join(scores.without_truth)}")
    if scores.failed:
        lines.append(f"failed, not scored: {', '.join(scores.failed)}")
    for column in COLUMNS:
        if column.key in scores.undefined:
            lines.append(
                f"{column.group} {column.heading} not defined (a mask is empty), left out of the mean: "
                f"{', '.join(scores.undefined[column.key])}"
            )
    return lines


def _groups() -> str:
    """Format the first line of the heading: each group's name centred over its columns."""
    names = list(dict.fromkeys(column.group for column in COLUMNS))
    spans = [WIDTH * sum(column.group == name for column in COLUMNS) for name in names]
    return " " * NAME_WIDTH + "".join(f"{name:-^{span - 2}}".rjust(span) for name, span in zip(names, spans))


def _row(name: str, scores: Score) -> str:
    return _line(name, [column.format(scores) for column in COLUMNS])


def _line(name: str, cells: list[str]) -> str:
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def _shorten(name: str) -> str:
    """Shorten a name, but keep its end, which distinguishes cases."""
    return name if len(name) < NAME_WIDTH else "..." + name[-(NAME_WIDTH - 4) :]


def _nullable(row: Score) -> dict[str, str | float | None]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _csv(scores: FoldScores) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(scores.cases[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_nullable(case) for case in scores.cases)  # None is written as an empty cell
    return text.getvalue()
