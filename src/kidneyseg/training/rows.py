"""``log.jsonl``, the log of one stage: a JSON object per epoch. Needs neither MindSpore nor TensorBoard."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kidneyseg.atomic import write_text
from kidneyseg.errors import InputError


def append_row(path: Path, row: dict) -> None:
    """Add one line, on the disk when this returns."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def keep_rows(path: Path, epochs: int) -> None:
    """Drop the rows of epoch ``epochs`` (counted from 0) and later ones."""
    rows = [row for row in read_rows(path) if row["epoch"] < epochs]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[dict]:
    """All rows; a last line cut short by a kill is left out. No file: no rows.

    Raises:
        InputError: a broken line before the last.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise InputError(f"{path}, line {number}", expected="a JSON object", found=f"broken JSON ({error})",
                                 remedy="Delete that line") from None
    return rows
