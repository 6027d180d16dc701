"""``log.jsonl``, the log of one stage: a JSON object per epoch. Needs neither MindSpore nor TensorBoard."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ConfigDict, with_config
from typing_extensions import NotRequired, TypedDict

from kidneyseg.system.config_files import read_json_lines
from kidneyseg.system.files import write_text, writing


@with_config(ConfigDict(extra="allow"))
class Row(TypedDict):
    """One epoch, counted from 0. Numbers that are not finite are None."""

    epoch: int
    step: NotRequired[int]
    samples_per_s: NotRequired[float]
    loss: NotRequired[float]
    lr: NotRequired[float]
    seconds: NotRequired[float]
    val_loss: NotRequired[float | None]
    val_dice: NotRequired[Mapping[str, float | None]]


def append_row(path: Path, row: Row) -> None:
    """Append one line and flush it to the disk."""
    line = {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
    with writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def keep_rows(path: Path, epochs: int) -> None:
    """Delete the rows of epoch ``epochs`` (counted from 0) and of later epochs."""
    rows = [row for row in read_rows(path) if row["epoch"] < epochs]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Read all rows. A last line that was truncated by a kill is left out. Without a file there are no rows.

    Raises:
        InputError: another line is not a row of such a log.
    """
    return (
        read_json_lines(path, Row, expected="a JSON object of one epoch", remedy="Delete that line")
        if path.exists()
        else []
    )
