"""One self-contained HTML page with scores, pictures, and how they were made."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from kidneyseg.metrics.summary import FoldScores, Score
from kidneyseg.report.tables import COLUMNS, Column, notes
from kidneyseg.system.files import write_text

LOW = 0.5  # a Dice or surface Dice below this is marked
IMAGE_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


def write_report(
    path: str | Path,
    *,
    title: str,
    scores: Mapping[str, FoldScores] | None = None,
    figures: Sequence[tuple[str, str | Path]] = (),
    facts: Mapping[str, object] | None = None,
    command: str | None = None,
) -> Path:
    """Write a self-contained page (no JavaScript, no other files, also for phones and dark mode), atomically.

    Args:
        path: file to write.
        title: title of the page.
        scores: heading -> scores, for example ``{"Fold 0": ..., "Fold 0 with true ROIs": ...}``; the worst case first.
        figures: (caption, PNG or JPEG file); the files are embedded.
        facts: facts to judge or repeat the result: recipe, versions, revision, ...
        command: command line that writes the page again.

    Raises:
        ValueError: a figure that is neither PNG nor JPEG.
    """
    environment = Environment(
        loader=PackageLoader("kidneyseg.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        title=title,
        columns=COLUMNS,
        groups=[(name, len(list(columns))) for name, columns in itertools.groupby(COLUMNS, lambda c: c.group)],
        tables={name: _table(fold) for name, fold in (scores or {}).items()},
        figures=[_figure(caption, Path(file)) for caption, file in figures],
        facts=facts or {},
        command=command,
    )
    write_text(path, page)
    return Path(path)


def _table(scores: FoldScores) -> dict:
    """Collect the template's variables for one fold."""
    worst_first = sorted(scores.cases, key=lambda case: case["composite"])
    return {
        "headline": [
            (key, f"{scores.mean[key]:.3f} \N{PLUS-MINUS SIGN} {scores.sd[key]:.3f}")
            for key in ("kidney", "tumour", "composite")
        ],
        "rows": [{"case": case["case"], "cells": [_cell(column, case) for column in COLUMNS]} for case in worst_first],
        "mean": [column.format(scores.mean) for column in COLUMNS],
        "sd": [column.format(scores.sd) for column in COLUMNS],
        "notes": notes(scores),
    }


def _cell(column: Column, case: Score) -> dict:
    value = float(case[column.key])
    is_overlap = column.group in ("Dice", "Surface Dice")
    return {"text": column.format(case), "low": is_overlap and not math.isnan(value) and value < LOW}


def _figure(caption: str, file: Path) -> dict:
    kind = IMAGE_FORMATS.get(file.suffix.lower())
    if kind is None:
        raise ValueError(f"{file} is neither PNG nor JPEG")
    return {"caption": caption, "format": kind, "base64": base64.b64encode(file.read_bytes()).decode("ascii")}
