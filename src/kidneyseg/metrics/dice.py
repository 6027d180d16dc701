"""Volumetric Dice."""

from __future__ import annotations

import numpy as np


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Compute ``2 |A and B| / (|A| + |B|)`` of two binary masks, in [0, 1]; 1 if both are empty, 0 if one is.

    The formula is that of KiTS19, which divides by zero if both are empty; the rule for empty masks is of KiTS21/23.

    Args:
        prediction, truth: bool, any shape, the same for both.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"masks of shapes {prediction.shape} and {truth.shape} cannot be compared")
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    if total == 0:
        return 1.0
    return 2 * np.count_nonzero(prediction & truth) / total
