"""Preprocessing of scans and masks: resampling to the plan's spacing, normalisation by the foreground's intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from kidneyseg.benchmark.nnunet.plan import anisotropic, resampled_shape

STORED_VOXELS = 10_000  # per case and class, from which centres of patches are drawn
SAMPLED_VOXELS = 100_000  # of the foreground per case, for the intensities


@dataclass(frozen=True)
class Intensity:
    """HU of the foreground of all training cases: percentiles 0.5 and 99.5, mean and SD."""

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def of(cls, hu: np.ndarray) -> Intensity:
        low, high = np.percentile(hu, (0.5, 99.5))
        return cls(float(low), float(high), float(hu.mean()), max(float(hu.std()), 1e-8))

    def normalised(self, hu: np.ndarray) -> np.ndarray:
        """Clip and normalise ``hu`` to mean 0 and SD 1 in the foreground; returns float32."""
        return ((hu.clip(self.low, self.high) - self.mean) / self.std).astype(np.float32)


@dataclass(frozen=True)
class TrainingCase:
    """One case at the plan's spacing.

    Attributes:
        image: (z, y, x) float32, normalised.
        classes: (z, y, x) uint8, 0 background, 1, 2, ... the labels in order.
        voxels: for each foreground class of the case, some of its voxels, (n, 3).
    """

    image: np.ndarray
    classes: np.ndarray
    voxels: tuple[np.ndarray, ...]


def sample_foreground(hu: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the HU of foreground voxels, the same number for every case; none for a case without foreground."""
    foreground = hu[mask > 0]
    return rng.choice(foreground, SAMPLED_VOXELS) if foreground.size else foreground


def make_case(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> TrainingCase:
    """Make a training case of ``image`` and ``classes`` at the plan's spacing."""
    places = [np.argwhere(classes == number) for number in range(1, classes.max() + 1)]
    return TrainingCase(image, classes, tuple(rng.permutation(one)[:STORED_VOXELS] for one in places if len(one)))


def resampled(image: np.ndarray, spacing: Sequence[float], target: Sequence[float], order: int = 3) -> np.ndarray:
    """Resample ``image``, (z, y, x) float32, to ``target`` mm with splines of ``order``.

    Along an axis with much longer voxels it uses nearest neighbours.
    """
    factors = np.divide(resampled_shape(image.shape, spacing, target), image.shape)
    if not (anisotropic(spacing) or anisotropic(target)):
        return _zoomed(image, factors, order)
    long = np.arange(3) == np.argmax(spacing if anisotropic(spacing) else target)
    return _zoomed(_zoomed(image, np.where(long, 1, factors), order), np.where(long, factors, 1), 0)


def resampled_classes(classes: np.ndarray, spacing: Sequence[float], target: Sequence[float]) -> np.ndarray:
    """Resample each class separately and linearly; a voxel gets the class with a value of 0.5 or more."""
    out = np.zeros(resampled_shape(classes.shape, spacing, target), np.uint8)
    for number in range(1, classes.max() + 1):
        out[resampled((classes == number).astype(np.float32), spacing, target, order=1) >= 0.5] = number
    return out


def _zoomed(image: np.ndarray, factors: np.ndarray, order: int) -> np.ndarray:
    """Zoom ``image`` with the same extent (outer voxel faces)."""
    return ndi.zoom(image, factors, order=order, mode="nearest", grid_mode=True)
