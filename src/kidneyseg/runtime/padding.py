"""Batches of one size, so that a graph is compiled once."""

from __future__ import annotations

import numpy as np


def padded(images: np.ndarray, batch_size: int) -> np.ndarray:
    """(N, \\*S) -> (batch_size, \\*S), filled up with zeros. Raises ValueError if there are more images than that."""
    missing = batch_size - len(images)
    if missing < 0:
        raise ValueError(f"a batch of {len(images)} images exceeds the batch size {batch_size}")
    return np.pad(images, [(0, missing)] + [(0, 0)] * (images.ndim - 1))
