"""Training curves and score distributions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kidneyseg.metrics.summary import FoldScores
from kidneyseg.model_folder.epoch_log import read_rows
from kidneyseg.report import colours
from kidneyseg.report.lettering import lettering
from kidneyseg.system.files import atomic

LINE_STYLES = ("-", "--", ":", "-.")
PANELS = 3  # in a row


def curves(logs: Mapping[str, str | Path], path: str | Path) -> Path:
    """Draw loss, validation Dice and learning rate against the epoch, as PNG.

    Args:
        logs: stage name -> ``log.jsonl``, for :func:`kidneyseg.model_folder.epoch_log.read_rows`.
        path: PNG file to write, atomically.

    Raises:
        ValueError: no log.
        InputError: a damaged log.
    """
    if not logs:
        raise ValueError("no training log to draw")
    figure = Figure(figsize=(13, 4), dpi=110, layout="constrained")
    loss, dice, rate = figure.subplots(1, 3)
    for (name, log), colour in zip(logs.items(), colours.LINES):
        stage, _ = lettering(name)
        rows = read_rows(Path(log))
        _line(loss, rows, "loss", f"{stage}, training", colour, "-")
        _line(loss, rows, "val_loss", f"{stage}, validation", colour, "--")
        regions = sorted({region for row in rows for region in row.get("val_dice", {})})
        for region, style in zip(regions, LINE_STYLES):
            scores = [{"epoch": row["epoch"], **row["val_dice"]} for row in rows if "val_dice" in row]
            _line(dice, scores, region, f"{stage}, {region}", colour, style)
        _line(rate, rows, "lr", stage, colour, "-")
    for ax, name in ((loss, "loss"), (dice, "validation Dice"), (rate, "learning rate")):
        ax.set(title=name, xlabel="epoch")
        ax.grid(alpha=0.3)
        if ax.lines:
            ax.legend(fontsize=8)
    dice.set_ylim(0, 1)
    return _save(figure, path)


def boxplot(
    scores_by_name: Mapping[str, FoldScores], path: str | Path, keys: Sequence[str] = ("kidney", "tumour", "composite")
) -> Path:
    """Draw the distribution of each of ``keys`` over the cases, as PNG; one dot per case.

    There is one panel per key, three in a row; each panel has one row per name.
    """
    if not scores_by_name:
        raise ValueError("no scores to draw")
    rows, columns = -(-len(keys) // PANELS), min(len(keys), PANELS)
    lettered = [lettering(name) for name in scores_by_name]
    names = [re.sub("([+@])", r"\n\1 ", name) for name, _ in lettered]  # one line per member of an ensemble
    height = 1.2 + 0.25 * sum(1 + name.count("\n") for name in names)
    figure = Figure(figsize=(4.5 * columns, height * rows), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax in panels[len(keys) :]:
        ax.remove()
    jitter = np.random.default_rng(0)
    for ax, key in zip(panels, keys):
        for position, (scores, colour) in enumerate(zip(scores_by_name.values(), colours.LINES * len(scores_by_name))):
            values = np.array([case[key] for case in scores.cases], float)
            values = values[~np.isnan(values)]
            ax.boxplot(
                values,
                positions=[position],
                widths=0.5,
                showfliers=False,
                orientation="horizontal",
                medianprops={"color": "black"},
            )
            ax.plot(values, position + jitter.uniform(-0.15, 0.15, values.size), "o", color=colour, ms=4)
        ax.set_yticks(range(len(names)), names)
        for label, (_, style) in zip(ax.get_yticklabels(), lettered):
            label.set(**style)
        ax.set_title(key.replace("_", " "))
        ax.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()  # the first name on top; the panels share the axis
    return _save(figure, path)


def _line(ax: Axes, rows: Sequence[Mapping[str, object]], key: str, label: str, colour: str, style: str) -> None:
    points = [(row["epoch"], row[key]) for row in rows if key in row]
    if points:
        marker = "." if len(points) < 30 else None
        ax.plot(*zip(*points), style, color=colour, label=label, marker=marker)


def _save(figure: Figure, path: str | Path) -> Path:
    with atomic(path) as partial:
        figure.savefig(partial, format="png")
    return Path(path)
