"""All scores of one case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kidneyseg.metrics.dice import dice
from kidneyseg.metrics.regions import KIDNEY_AND_MASSES, REGIONS, TUMOUR, ScoredRegion
from kidneyseg.metrics.surface import robust_hausdorff, surface_dice, surface_distances
from kidneyseg.volume.box import bounding_box


def score_case(
    prediction: np.ndarray,
    truth: np.ndarray,
    spacing: Sequence[float],
    uncertain: Mapping[int, Sequence[int]] | None = None,
    voxel_ml: float | None = None,
) -> dict[str, float]:
    """Score a label mask against the ground truth.

    ================================  ==============================================================================
    key                               value
    ================================  ==============================================================================
    ``kidney``, ``tumour``            Dice of KiTS19: labels > 0, and label 2
    ``composite``                     mean of these two
    ``dice_REGION``                   Dice of KiTS21/23, in [0, 1]
    ``surface_dice_REGION``           surface Dice at the region's official tolerance, in [0, 1]
    ``hd95_REGION``                   mm, larger of the two 95th percentiles of the surface distance; NaN if the
                                      region is empty in either mask, because there is no distance
    ``volume_ml_REGION_prediction``   ml
    ``volume_ml_REGION_truth``        ml
    ================================  ==============================================================================

    ``REGION`` is ``kidney_and_masses``, ``masses`` or ``tumour``. If a region is empty in both masks, Dice and surface
    Dice are 1; if it is empty in one of them, they are 0. Values other than the labels 1, 2 and 3 are background.

    Args:
        prediction, truth: (z, y, x) labels, the same shape.
        spacing: voxel size in mm, (z, y, x).
        uncertain: label of ``truth`` -> the labels of which it may be any, see ``covers`` of a data set. If the ground
            truth of a region is therefore unknown, all its keys are NaN, except the predicted volume.
        voxel_ml: volume of a voxel in ml; by default that of a box of ``spacing``, too large with a sheared affine.

    Raises:
        ValueError: the shapes differ or are not 3-D.
    """
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise ValueError(f"expected two 3-D masks of one shape, found {prediction.shape} and {truth.shape}")
    box = bounding_box((prediction != 0) | (truth != 0))  # a CT is mostly background
    prediction, truth = prediction[box], truth[box]
    voxel_ml = float(np.prod(spacing)) / 1000 if voxel_ml is None else voxel_ml
    of_regions = [
        _score_region(region, region.of(prediction), region.of(truth), spacing, voxel_ml) for region in REGIONS
    ]
    scores = {
        key: value if region.is_known(uncertain or {}) or key.endswith("_prediction") else math.nan
        for region, of_region in zip(REGIONS, of_regions)
        for key, value in of_region.items()
    }
    kidney, tumour = scores[f"dice_{KIDNEY_AND_MASSES.name}"], scores[f"dice_{TUMOUR.name}"]
    return {"kidney": kidney, "tumour": tumour, "composite": (kidney + tumour) / 2, **scores}


def _score_region(
    region: ScoredRegion, prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float], voxel_ml: float
) -> dict[str, float]:
    distances = surface_distances(prediction, truth, spacing)
    return {
        f"dice_{region.name}": dice(prediction, truth),
        f"surface_dice_{region.name}": surface_dice(distances, region.tolerance),
        f"hd95_{region.name}": robust_hausdorff(distances, 95),
        f"volume_ml_{region.name}_prediction": np.count_nonzero(prediction) * voxel_ml,
        f"volume_ml_{region.name}_truth": np.count_nonzero(truth) * voxel_ml,
    }
