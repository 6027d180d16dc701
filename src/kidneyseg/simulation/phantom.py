"""Phantoms: geometric kidneys, tumours and cysts in the simulated abdomen.

They need no patient data and no licence, and their ground truth is exact. Lesions have a strong contrast to the kidney,
so that a small network learns them within minutes; the other organs are those of :mod:`kidneyseg.simulation.abdomen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kidneyseg.simulation.abdomen import CYST, KIDNEY, TUMOUR, Tissue, simulate, smooth_field
from kidneyseg.simulation.simulated_cohort import KITS, claim_folder, write_case
from kidneyseg.system.worker_pool import run_cases
from kidneyseg.volume.axes import PerAxis, per_axis

SHAPE = (64, 160, 160)
SPACING = (3.22, 1.62, 1.62)
EXTENT_MM = (150, 230, 240)  # smallest field of view that contains both kidneys
CONTRASTED = Tissue(
    cortex=(175, 225), medulla_below_cortex=(20, 50), bright_tumour=(70, 100), dim_tumour=(35, 70), bright_share=0.5
)
ORIENTATIONS = (KITS, ("L", "P", "S"), ("R", "A", "S"), ("L", "A", "S"))


def make_phantom(
    seed: int | Sequence[int], shape: Sequence[int] = SHAPE, spacing: Sequence[float] = SPACING, cysts: bool = False
) -> tuple[np.ndarray, np.ndarray, PerAxis[float]]:
    """Make one phantom CT; the same arguments give the same voxels.

    Args:
        seed: seed of the random generator.
        shape: voxels (z, y, x).
        spacing: mm (z, y, x); the field of view must be at least ``EXTENT_MM``.
        cysts: also make cysts (label 3).

    Returns:
        HU (z, y, x) int16; labels (z, y, x) uint8: 1 kidney, 2 tumour, 3 cyst; the spacing. Orientation canonical.

    Raises:
        ValueError: the field of view is too small.
    """
    extent = np.multiply(shape, spacing)
    if (extent < EXTENT_MM).any():
        raise ValueError(f"a phantom needs a field of view of {EXTENT_MM} mm, not {extent.round().tolist()}")
    rng = np.random.default_rng(seed)
    label = _draw_labels(rng, shape, spacing, cysts)
    hu = simulate(label, spacing, rng.integers(2**32, size=4).tolist(), CONTRASTED)
    return hu, label, per_axis(spacing)


def write_cohort(out: str | Path, cases: int, seed: int = 19, *, cysts: bool = False, workers: int = 1) -> list[Path]:
    """Write ``cases`` phantoms as ``OUT/case_00000/{imaging,segmentation}.nii.gz``. Returns the case folders.

    The fields of view vary by a few percent. The files have different orientations, a quarter of them each of
    ``ORIENTATIONS``. Existing cases are not changed.

    Raises:
        InputError: ``out`` contains other files.
    """
    out = Path(out)
    claim_folder(out, {"phantom": 1, "seed": seed, "cysts": cysts})
    numbers = range(cases)
    write = partial(_write_phantom, out, seed, cysts)
    return run_cases(write, numbers, [_name(n) for n in numbers], workers=workers, title="phantoms")


def _name(number: int) -> str:
    return f"case_{number:05d}"


def _write_phantom(out: Path, seed: int, cysts: bool, number: int) -> Path:
    folder = out / _name(number)
    if not folder.exists():
        rng = np.random.default_rng([seed, number])
        spacing = tuple(np.round(np.multiply(SPACING, rng.uniform(0.95, 1.08, 2)[[0, 1, 1]]), 3).tolist())
        shape = (SHAPE[0] + int(rng.integers(-6, 7)), *SHAPE[1:])
        hu, label, spacing = make_phantom([seed, number, 1], shape, spacing, cysts)
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = spacing[0], -spacing[1], -spacing[2]  # z up, y back, x left
        affine[:, 3] = (*rng.uniform(-200, 200, 3).round(2), 1)
        write_case(folder, hu, label, affine, ORIENTATIONS[number % len(ORIENTATIONS)])
    return folder


def _draw_labels(rng: np.random.Generator, shape: Sequence[int], spacing: Sequence[float], cysts: bool) -> np.ndarray:
    """Draw one or two kidneys, the right one lower, with one or two tumours and, with ``cysts``, cysts."""
    label = np.zeros(shape, np.uint8)
    extent = np.multiply(shape, spacing)
    centre = extent * (0.5, 0.5, 0.5) + rng.normal(0, (4, 3, 2))
    axes = np.meshgrid(
        *[(np.arange(n, dtype=np.float32) + 0.5) * s for n, s in zip(shape, spacing)], indexing="ij", sparse=True
    )
    wobble = smooth_field(rng, shape, spacing, 15)
    sides = [-1, 1] if rng.random() < 0.85 else [int(rng.choice([-1, 1]))]
    kidneys = []
    for side in sides:  # -1: the patient's right
        at = centre + (side * rng.uniform(2, 10), rng.uniform(22, 34), side * rng.uniform(56, 66))
        radii = np.array([rng.uniform(46, 58), rng.uniform(23, 29), rng.uniform(22, 28)]) * rng.uniform(0.88, 1.08)
        frame = _frame(rng, side)
        label[_bean(axes, at, radii, frame, side) + 0.03 * wobble < 1] = KIDNEY
        kidneys.append((at, radii, frame, side))
    for _ in range(1 + (rng.random() < 0.3)):
        _add_lesion(rng, label, axes, kidneys, wobble, TUMOUR, np.exp(rng.uniform(np.log(10), np.log(28))))
    for _ in range(rng.integers(1, 4) if cysts else 0):
        _add_lesion(rng, label, axes, kidneys, wobble, CYST, rng.uniform(6, 15))
    return label


def _frame(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the kidney's axes as rows, (z, y, x): the upper pole is tilted to the midline and the back (psoas)."""
    inwards, backwards = rng.uniform(np.deg2rad(5), np.deg2rad(20), 2)
    long = np.array([1, np.sin(backwards), -side * np.sin(inwards)])
    long /= np.linalg.norm(long)
    front = np.array([0.0, 1, 0]) - long[1] * long
    front /= np.linalg.norm(front)
    across = np.cross(long, front)
    return np.stack([long, front, across * np.sign(across[2])])


def _bean(axes: Sequence[np.ndarray], at: np.ndarray, radii: np.ndarray, frame: np.ndarray, side: int) -> np.ndarray:
    """Compute a value < 1 inside an ellipsoid with a dent on its medial side (the hilum)."""
    z, y, x = (sum(c * (axis - a) for c, axis, a in zip(row, axes, at)) for row in frame)
    solid = (z / radii[0]) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2
    medial = -side * radii[2]
    hilum = (z / (0.38 * radii[0])) ** 2 + (y / (0.6 * radii[1])) ** 2 + ((x - medial) / (0.75 * radii[2])) ** 2
    return np.where(hilum < 1, 2, solid)


def _add_lesion(
    rng: np.random.Generator,
    label: np.ndarray,
    axes: Sequence[np.ndarray],
    kidneys: Sequence,
    wobble: np.ndarray,
    value: int,
    radius: float,
) -> None:
    """Add a ball of about ``radius`` mm to a random kidney: deep inside it, at its surface, or mostly outside."""
    at, radii, frame, side = kidneys[rng.integers(len(kidneys))]
    direction = rng.normal(size=3)
    direction[2] = side * abs(direction[2])  # away from the hilum
    direction /= np.linalg.norm(direction)
    centre = at + (direction * radii * rng.uniform(0.3, 1.05)) @ frame
    stretch = rng.uniform(0.85, 1.15, 3) * radius
    ball = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, stretch)) + 0.08 * wobble
    label[(ball < 1) & (label != TUMOUR)] = value
