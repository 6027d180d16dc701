"""Surface Dice and the robust Hausdorff distance, with every surface element weighted by its area.

The results agree with DeepMind's surface-distance (Nikolov et al. 2018, arXiv 1809.04430) up to rounding: the same
surface elements and areas (:mod:`kidneyseg.metrics.surfels`) and the same distances, from each element to the nearest
element of the other mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from kidneyseg.metrics.surfels import surfel_areas
from kidneyseg.volume.box import bounding_box


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of every surface element to the other mask's surface, mm (inf if it is empty), and its area, mm^2.

    All four arrays are (number of elements,) float, in no particular order; empty for an empty mask.
    """

    prediction_to_truth: np.ndarray
    prediction_areas: np.ndarray
    truth_to_prediction: np.ndarray
    truth_areas: np.ndarray

    @property
    def prediction_is_empty(self) -> bool:
        return self.prediction_areas.size == 0

    @property
    def truth_is_empty(self) -> bool:
        return self.truth_areas.size == 0


def surface_distances(prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure the distances between two surfaces. A mask that touches the border of the array is closed there.

    Args:
        prediction, truth: (z, y, x) bool, the same shape.
        spacing: voxel size in mm, (z, y, x), > 0.

    Raises:
        ValueError: the shapes differ or are not 3-D.
    """
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise ValueError(f"expected two 3-D masks of one shape, found {prediction.shape} and {truth.shape}")
    areas = surfel_areas(spacing)
    prediction_cells, prediction_areas = _surfels(prediction, areas)
    truth_cells, truth_areas = _surfels(truth, areas)
    return SurfaceDistances(
        _nearest(prediction_cells, truth_cells, spacing),
        prediction_areas,
        _nearest(truth_cells, prediction_cells, spacing),
        truth_areas,
    )


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Compute the fraction of both surfaces within ``tolerance`` mm of the other surface, in [0, 1].

    It is 1 if both masks are empty and 0 if one is (rule of KiTS21/23).
    """
    if distances.prediction_is_empty and distances.truth_is_empty:
        return 1.0
    near = (
        distances.prediction_areas[distances.prediction_to_truth <= tolerance].sum()
        + distances.truth_areas[distances.truth_to_prediction <= tolerance].sum()
    )
    return float(near / (distances.prediction_areas.sum() + distances.truth_areas.sum()))


def robust_hausdorff(distances: SurfaceDistances, percent: float = 95) -> float:
    """Compute the larger of the two directed ``percent``-th percentiles of the distance, mm; NaN if a mask is empty."""
    if distances.prediction_is_empty or distances.truth_is_empty:
        return float("nan")
    return max(
        _percentile(distances.prediction_to_truth, distances.prediction_areas, percent),
        _percentile(distances.truth_to_prediction, distances.truth_areas, percent),
    )


def _surfels(mask: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells that contain surface of ``mask``, (n, 3) int, and the area in each, (n,) mm^2."""
    box = bounding_box(mask)
    padded = np.pad(mask[box], 1).view(np.uint8)
    size = [n - 1 for n in padded.shape]
    codes = np.zeros(size, np.uint8)
    for bit, corner in enumerate(itertools.product((0, 1), repeat=3)):
        codes |= padded[tuple(slice(c, c + n) for c, n in zip(corner, size))] << np.uint8(7 - bit)
    border = (codes != 0) & (codes != 255)
    return np.argwhere(border) + [b.start for b in box], areas[codes[border]]


def _nearest(cells: np.ndarray, others: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the distance of each of ``cells``, (n, 3), to the nearest of ``others``, (m, 3): (n,) mm."""
    if len(others) == 0:
        return np.full(len(cells), np.inf)
    tree = cKDTree(others * np.asarray(spacing), balanced_tree=False)  # balancing is very slow on points of a grid
    _, index = tree.query(cells * np.asarray(spacing))
    # Computed from the integer offset, not from the two points, so that a distance equal to the tolerance stays equal.
    return np.sqrt((((cells - others[index]) * np.asarray(spacing)) ** 2).sum(axis=1))


def _percentile(distances: np.ndarray, areas: np.ndarray, percent: float) -> float:
    order = np.lexsort((areas, distances))
    cumulated = np.cumsum(areas[order]) / areas.sum()
    position = np.searchsorted(cumulated, percent / 100)
    return float(distances[order][min(position, len(order) - 1)])
