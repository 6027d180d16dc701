"""Pictures of a CT with the contours of its masks, in radiological orientation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: no display, no state shared between figures
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from kidneyseg.metrics.regions import KIDNEY_AND_MASSES
from kidneyseg.report import colours
from kidneyseg.report.lettering import lettering
from kidneyseg.report.slices import centre_of_interest, informative_slices
from kidneyseg.system.files import atomic
from kidneyseg.volume.axes import PerAxis

SOFT_TISSUE = (400.0, 40.0)  # window width and level, HU

# The kidney's contour goes round its masses as well.
STRUCTURES = {"kidney": ((1, 2, 3), colours.KIDNEY), "tumour": ((2,), colours.TUMOUR), "cyst": ((3,), colours.CYST)}
LINE_STYLES = ("solid", (0, (3, 2)), (0, (1, 1.5)))
ZOOM_MARGIN = 25.0  # mm around the kidneys


@dataclass(frozen=True)
class Plane:
    """An orthogonal plane of a (z, y, x) volume.

    Attributes:
        name: name of the plane.
        axis: the axis perpendicular to the plane.
        letters: orientation letters at the left, right, top and bottom edge.
        flip: whether row 0 is at the bottom (Superior is up).
    """

    name: str
    axis: int
    letters: tuple[str, str, str, str]
    flip: bool

    def cut(self, volume: np.ndarray, index: int) -> np.ndarray:
        """Return the slice at ``index``."""
        image = np.take(volume, index, axis=self.axis)
        return image[::-1] if self.flip else image

    def pixel(self, spacing: Sequence[float]) -> tuple[float, float]:
        """Return the (row, column) size of a pixel in mm."""
        row, column = (s for axis, s in enumerate(spacing) if axis != self.axis)
        return row, column


AXIAL = Plane("axial", 0, ("R", "L", "A", "P"), flip=False)
CORONAL = Plane("coronal", 1, ("R", "L", "S", "I"), flip=True)
SAGITTAL = Plane("sagittal", 2, ("A", "P", "S", "I"), flip=True)


def overlay(
    image_hu: np.ndarray,
    masks: Mapping[str, np.ndarray],
    spacing: Sequence[float],
    path: str | Path,
    *,
    title: str = "",
    window: tuple[float, float] = SOFT_TISSUE,
) -> Path:
    """Draw a PNG of the three most informative axial slices, a coronal and a sagittal one, and a close-up.

    Args:
        image_hu: (z, y, x), HU, in canonical orientation (index grows towards Superior, Posterior, Left).
        masks: name -> (z, y, x) labels, for example ``{"prediction": ..., "truth": ...}``. The first is drawn solid,
            the next dashed, the third dotted; ``truth`` is drawn last.
        spacing: voxel size in mm, (z, y, x).
        path: PNG file to write, atomically.
        title: title of the picture.
        window: window width and level, HU.

    Raises:
        ValueError: no mask, more than three, or one whose shape is not that of ``image_hu``.
    """
    if not 1 <= len(masks) <= len(LINE_STYLES) or any(mask.shape != image_hu.shape for mask in masks.values()):
        shapes = {name: mask.shape for name, mask in masks.items()}
        raise ValueError(f"expected one to three masks of shape {image_hu.shape}, found {shapes}")
    masks = dict(sorted(masks.items(), key=lambda item: item[0] == "truth"))
    figure = Figure(figsize=(13, 9), dpi=110, facecolor="black", layout="constrained")
    axes = figure.subplots(2, 3)
    draw = _drawer(image_hu, masks, spacing, window)
    slices = informative_slices(masks, 3)
    for ax, index in zip(axes[0], slices):
        draw(ax, AXIAL, index)
    for ax in axes[0][len(slices) :]:
        ax.set_axis_off()
    centre = centre_of_interest(masks)
    draw(axes[1][0], CORONAL, centre[1])
    draw(axes[1][1], SAGITTAL, centre[2])
    draw(axes[1][2], AXIAL, centre[0])
    _zoom(axes[1][2], masks, centre, spacing)
    width, level = window
    text, style = lettering(f"{title}   W {width:g} L {level:g} HU".strip())
    figure.suptitle(text, color="white", fontsize=13, **style)
    _legend(figure, masks)
    with atomic(path) as partial:
        figure.savefig(partial, format="png", facecolor="black")
    return Path(path)


def _drawer(
    image_hu: np.ndarray, masks: Mapping[str, np.ndarray], spacing: Sequence[float], window: tuple[float, float]
) -> Callable[[Axes, Plane, int], None]:
    width, level = window

    def draw(ax: Axes, plane: Plane, index: int) -> None:
        row, column = plane.pixel(spacing)
        image = plane.cut(image_hu, index)
        ax.imshow(image, cmap="gray", vmin=level - width / 2, vmax=level + width / 2, aspect=row / column)
        for mask, style in zip(masks.values(), LINE_STYLES):
            _contours(ax, plane.cut(mask, index), style)
        where = "zyx"[plane.axis]
        ax.set_title(
            f"{plane.name}, {where} = {index * spacing[plane.axis]:.1f} mm (slice {index + 1} of "
            f"{image_hu.shape[plane.axis]})",
            color="white",
            fontsize=10,
        )
        _letters(ax, plane)
        ax.set_axis_off()

    return draw


def _contours(ax: Axes, labels: np.ndarray, style: object) -> None:
    padded = np.pad(labels, 1)  # closes the contour of a mask that touches the border
    rows, columns = (np.arange(-1, n + 1) for n in labels.shape)
    for values, colour in STRUCTURES.values():
        inside = np.isin(padded, values)
        if inside.any():
            ax.contour(columns, rows, inside, levels=[0.5], colors=colour, linestyles=[style], linewidths=1.4)


def _letters(ax: Axes, plane: Plane) -> None:
    places = (
        (0.01, 0.5, "left", "center"),
        (0.99, 0.5, "right", "center"),
        (0.5, 0.99, "center", "top"),
        (0.5, 0.01, "center", "bottom"),
    )
    for letter, (x, y, horizontal, vertical) in zip(plane.letters, places):
        ax.text(
            x,
            y,
            letter,
            transform=ax.transAxes,
            ha=horizontal,
            va=vertical,
            color=colours.YELLOW,
            fontsize=10,
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )  # readable on bone as well


def _zoom(ax: Axes, masks: Mapping[str, np.ndarray], centre: PerAxis[int], spacing: Sequence[float]) -> None:
    """Zoom in on the masks in the axial slice at ``centre``, only on its side of the image."""
    inside = np.any([KIDNEY_AND_MASSES.of(mask[centre[0]]) for mask in masks.values()], axis=0)
    half = inside.shape[1] // 2
    inside[:, half:] &= centre[2] >= half
    inside[:, :half] &= centre[2] < half
    if not inside.any():
        return
    limits = []
    for axis in (1, 0):
        used = np.flatnonzero(inside.any(axis=1 - axis))
        margin = ZOOM_MARGIN / spacing[1 + axis]
        limits.append((max(-0.5, used[0] - margin), min(inside.shape[axis] - 0.5, used[-1] + margin)))
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1][::-1])  # rows grow downwards, to Posterior
    ax.set_title(f"close-up of z = {centre[0] * spacing[0]:.1f} mm (slice {centre[0] + 1})", color="white", fontsize=10)


def _legend(figure: Figure, masks: Mapping[str, np.ndarray]) -> None:
    handles = [
        Line2D([], [], color=colour, label=name, linewidth=2)
        for name, (values, colour) in STRUCTURES.items()
        if any(np.isin(mask, values).any() for mask in masks.values())
    ]
    handles += [Line2D([], [], color="white", linestyle=style, label=name) for name, style in zip(masks, LINE_STYLES)]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        labelcolor="white",
        facecolor="black",
        edgecolor="none",
        fontsize=11,
    )
