"""Comparison of recipes: scores and costs as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kidneyseg.system.files import write_text

SCORES = (
    "kidney",
    "tumour",
    "composite",
    "dice_kidney_and_masses",
    "dice_masses",
    "dice_tumour",
    "surface_dice_kidney_and_masses",
    "surface_dice_masses",
    "surface_dice_tumour",
)
COSTS = ("seconds_per_case", "parameters", "training_minutes", "training_mib", "prediction_mib")
# (heading, key, decimals)
COLUMNS = (
    ("kidney", "kidney", 3),
    ("tumour", "tumour", 3),
    ("composite", "composite", 3),
    ("Dice masses", "dice_masses", 3),
    ("surface Dice kidney and masses", "surface_dice_kidney_and_masses", 3),
    ("surface Dice masses", "surface_dice_masses", 3),
    ("surface Dice tumour", "surface_dice_tumour", 3),
    ("s per case", "seconds_per_case", 1),
    ("parameters", "parameters", 0),
    ("training min", "training_minutes", 1),
    ("training MiB", "training_mib", 0),
    ("prediction MiB", "prediction_mib", 0),
)
NOTE = """Scores are means over the held-out cases of a fold, then over folds. Kidney and tumour are the Dice scores of
KiTS19 (labels > 0, and label 2), which are also the Dice of KiTS21/23's "kidney and masses" and "tumour"; composite is
their mean. Parameters are the trainable parameters of all stages; minutes are the training time of all stages on one
fold; MiB are the peak memory of the training process and of the prediction process."""


@dataclass(frozen=True)
class Row:
    """One recipe: ``values`` by key (SCORES and COSTS), or the reason of its failure."""

    recipe: str
    values: dict[str, float] = field(default_factory=dict)
    failed: str | None = None


def write_comparison(rows: Sequence[Row], facts: dict, stem: Path) -> list[Path]:
    """Write ``STEM.md``, ``STEM.csv`` and ``STEM.json``, each atomically. Returns their paths.

    Args:
        rows: the recipes.
        facts: facts about all rows, as JSON types: folds, cases, versions, ...; only the JSON file has them.
        stem: path without suffix.
    """
    contents = {".md": format_comparison(rows), ".csv": _csv(rows), ".json": _json(rows, facts)}
    paths = [Path(f"{stem}{suffix}") for suffix in contents]
    for path, text in zip(paths, contents.values()):
        write_text(path, text)
    return paths


def format_comparison(rows: Sequence[Row]) -> str:
    """Format a Markdown table with one row per recipe, followed by the failures."""
    lines = [["recipe", *(heading for heading, _, _ in COLUMNS)], ["---", *["---:"] * len(COLUMNS)]]
    for row in rows:
        cells = [_cell(row.values.get(key, math.nan), decimals) for _, key, decimals in COLUMNS]
        lines.append([row.recipe, *(cells if row.failed is None else ["failed", *["-"] * (len(COLUMNS) - 1)])])
    failures = [f"- {row.recipe} failed: {row.failed}" for row in rows if row.failed is not None]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join([table, *(["\n".join(failures)] if failures else []), NOTE]) + "\n"


def _cell(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{decimals}f}"


def _known(row: Row) -> dict[str, float | None]:
    """Return all keys; unknown and undefined values are None."""
    values = {key: row.values.get(key, math.nan) for key in (*SCORES, *COSTS)}
    return {key: None if math.isnan(value) else value for key, value in values.items()}


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["recipe", *SCORES, *COSTS, "failed"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"recipe": row.recipe, **_known(row), "failed": row.failed} for row in rows)
    return text.getvalue()


def _json(rows: Sequence[Row], facts: dict) -> str:
    recipes = [{"recipe": row.recipe, "failed": row.failed, **_known(row)} for row in rows]
    return json.dumps({**facts, "recipes": recipes}, indent=2, allow_nan=False) + "\n"
