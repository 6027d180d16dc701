"""Padding of batches to one size, so that a graph is compiled only once."""

from __future__ import annotations

import numpy as np


def padded(images: np.ndarray, batch_size: int) -> np.ndarray:
    """Pad (N, \\*S) with zeros to (batch_size, \\*S). Raises ValueError if N is larger than ``batch_size``."""
    missing = batch_size - len(images)
    if missing < 0:
        raise ValueError(f"a batch of {len(images)} images exceeds the batch size {batch_size}")
    return np.pad(images, [(0, missing)] + [(0, 0)] * (images.ndim - 1))
