"""Hounsfield units to the 8-bit range that is stored, and from there to what a network sees."""

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
        uint8 of the same shape. Worked on one slice at a time, so that a whole scan is never held as float.
    """
    low, high = clip
    out = np.empty(hu.shape, np.uint8)
    for source, target in zip(hu, out):
        scaled = (np.clip(source, low, high).astype(np.float32) - low) * np.float32(255 / (high - low))
        target[...] = np.rint(scaled)
    return out


def normalise(image: np.ndarray, mean: float, std: float) -> np.ndarray:
    """``(image - mean) / std`` as float32; ``image`` is uint8 of any shape, looked up in a table of its 256 values."""
    table = ((np.arange(256) - mean) / std).astype(np.float32)
    return table[image]


def moments(image: np.ndarray, intensity: Intensity) -> tuple[float, float]:
    """Mean and standard deviation that ``image`` is normalised with: those of ``intensity``, or its own.

    Args:
        image: uint8 of any shape, all that a network sees of one sample.
        intensity: ``per_volume`` asks for the image's own; of an image of one value the standard deviation is taken
            as 1, which makes it 0 everywhere.
    """
    if not intensity.per_volume:
        return intensity.mean, intensity.std
    counts = np.bincount(image.ravel(), minlength=256)  # exact, and no float copy of the image
    values = np.arange(256)
    mean = float(counts @ values / image.size)
    variance = float(counts @ (values - mean) ** 2 / image.size)
    return mean, variance**0.5 if np.count_nonzero(counts) > 1 else 1.0
