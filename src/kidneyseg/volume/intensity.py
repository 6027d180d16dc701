"""Conversion of Hounsfield units to the stored 8-bit range, and normalisation for the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kidneyseg.recipe import Intensity


def to_uint8(hu: np.ndarray, clip: Sequence[float]) -> np.ndarray:
    """Clip ``hu`` to ``clip`` and map it linearly onto 0-255, rounded to the nearest.

    Args:
        hu: (z, y, x), HU, any real dtype, finite.
        clip: (low, high) HU; low becomes 0, high 255.

    Returns:
        uint8 of the same shape. One slice is processed at a time, so that there is no float copy of the scan.
    """
    low, high = clip
    out = np.empty(hu.shape, np.uint8)
    for source, target in zip(hu, out):
        scaled = (np.clip(source, low, high).astype(np.float32) - low) * np.float32(255 / (high - low))
        target[...] = np.rint(scaled)
    return out


def normalise(image: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Compute ``(image - mean) / std`` as float32 with a table of 256 values; ``image`` is uint8 of any shape."""
    table = ((np.arange(256) - mean) / std).astype(np.float32)
    return table[image]


def moments(image: np.ndarray, intensity: Intensity) -> tuple[float, float]:
    """Return the mean and standard deviation for the normalisation of ``image``.

    Args:
        image: uint8 of any shape, the whole input of the network for one sample.
        intensity: with ``per_volume``, mean and standard deviation of the image are used, else those of ``intensity``.
            If all values of the image are equal, the standard deviation is set to 1, so that it becomes 0 everywhere.
    """
    if not intensity.per_volume:
        return intensity.mean, intensity.std
    counts = np.bincount(image.ravel(), minlength=256)  # exact, and without a float copy of the image
    values = np.arange(256)
    mean = float(counts @ values / image.size)
    variance = float(counts @ (values - mean) ** 2 / image.size)
    return mean, variance**0.5 if np.count_nonzero(counts) > 1 else 1.0
