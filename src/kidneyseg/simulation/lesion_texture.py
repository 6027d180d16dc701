"""HU of simulated tumours and cysts in one CT, relative to the enhancement of its kidneys, with the noise of the scan.

Clear-cell carcinomas enhance inhomogeneously, by up to 0.5 to 1 of the enhancement of the cortex. Most large ones have
a necrotic core of 10-35 HU, from a small spot to all but a rim. Papillary and chromophobe carcinomas are homogeneous,
40-90 HU with contrast medium and 30-45 HU without. Cysts are homogeneous, 0-20 HU, some with a thin wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from scipy import ndimage as ndi
from scipy.signal import fftconvolve

from kidneyseg.errors import InputError
from kidneyseg.simulation.abdomen import CYST, smooth_field
from kidneyseg.volume.nifti import Scan

UNENHANCED = 32.0  # HU of renal parenchyma without contrast medium
CLEAR_CELL_SHARE = 0.65
PSF = (0.5, 0.7, 0.7)  # SD of the scan's point spread, in voxels (z, y, x)
SOFT_HU = (20, 250)
PATCH = (4, 16, 16)  # size of the patches of tissue in which noise is measured, voxels
PATCHES = 300
PATCHES_KEPT = 20


@dataclass(frozen=True)
class ScanLook:
    """Properties of a scan that a simulated lesion must have too.

    Attributes:
        cortex: HU of the cortex: 90th percentile of the kidneys.
        noise: (z, y, x), kernel that converts white noise of variance 1 to the noise of the scan.
        spacing: mm, (z, y, x).
    """

    cortex: float
    noise: np.ndarray
    spacing: np.ndarray

    @property
    def enhancement(self) -> float:
        """Enhancement of the cortex by contrast medium in HU; 0 without contrast medium."""
        return max(0.0, self.cortex - UNENHANCED)


def look_of(rng: np.random.Generator, scan: Scan, kidney: np.ndarray) -> ScanLook:
    """Measure a scan; ``kidney`` is (z, y, x) bool, not empty. Raises InputError if the scan has no soft tissue."""
    cortex = float(np.percentile(scan.array[kidney], 90))
    return ScanLook(cortex, _noise_kernel(rng, scan), np.array(scan.spacing))


def lesion_hu(rng: np.random.Generator, label: int, depth: np.ndarray, look: ScanLook) -> np.ndarray:
    """Make the HU of a lesion in a box.

    Args:
        rng: random generator.
        label: 2 tumour, 3 cyst.
        depth: (z, y, x), distance to the lesion's surface in mm, above 0 inside.
        look: properties of the scan.

    Returns:
        (z, y, x) float32; valid inside the lesion and, for blending, close to its surface.
    """
    if label == CYST:
        values = _cyst(rng, depth, look)
    elif rng.random() < CLEAR_CELL_SHARE:
        values = _clear_cell(rng, depth, look)
    else:
        values = _even_tumour(rng, depth, look)
    white = rng.standard_normal(depth.shape)
    return (ndi.gaussian_filter(values, PSF) + fftconvolve(white, look.noise, mode="same")).astype(np.float32)


def coverage(depth: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Compute the fraction of each voxel that a lesion fills, 0 to 1, blurred by the scan's point spread.

    ``depth`` and ``spacing`` as for :func:`lesion_hu`.
    """
    return ndi.gaussian_filter(np.clip(depth / spacing[1:].mean() + 0.5, 0, 1), PSF)


def _cyst(rng: np.random.Generator, depth: np.ndarray, look: ScanLook) -> np.ndarray:
    values = rng.uniform(0, 20) + 2 * smooth_field(rng, depth.shape, look.spacing, 10)
    if rng.random() < 0.2:
        values[depth < rng.uniform(1, 2)] = UNENHANCED + rng.uniform(0.2, 0.5) * look.enhancement
    return values


def _even_tumour(rng: np.random.Generator, depth: np.ndarray, look: ScanLook) -> np.ndarray:
    mean = min(rng.uniform(30, 45) + rng.uniform(0.1, 0.5) * look.enhancement, rng.uniform(60, 90))
    return mean + rng.uniform(2, 6) * smooth_field(rng, depth.shape, look.spacing, 8)


def _clear_cell(rng: np.random.Generator, depth: np.ndarray, look: ScanLook) -> np.ndarray:
    strong = rng.uniform(0.5, 1.0)
    weak = strong * rng.uniform(0.5, 0.8)
    field = reduce(
        add, (w * smooth_field(rng, depth.shape, look.spacing, mm) for w, mm in ((0.7, 18), (0.6, 8), (0.4, 4)))
    )
    share = weak + (strong - weak) * (0.5 + 0.5 * np.tanh(field))
    values = rng.uniform(28, 40) + share * look.enhancement
    core = _core(rng, depth, look)
    return values + core * (rng.uniform(10, 35) + 3 * field - values)


def _core(rng: np.random.Generator, depth: np.ndarray, look: ScanLook) -> np.ndarray:
    """Make the necrosis of each voxel, 0 to 1: the inner parts of most large tumours, with an irregular border."""
    radius = max(float(depth.max()), 1.0)
    if rng.random() > np.clip((radius - 8) / 15, 0, 0.85):
        return np.zeros(depth.shape, np.float32)
    ragged = depth / radius + 0.3 * smooth_field(rng, depth.shape, look.spacing, max(6.0, radius / 2))
    edge = rng.uniform(0.08, 0.2)
    return np.clip((ragged - rng.uniform(0.15, 0.8)) / edge + 0.5, 0, 1)


def _noise_kernel(rng: np.random.Generator, scan: Scan) -> np.ndarray:
    """Return the square root of the noise's mean power spectrum, as a kernel, from the most homogeneous soft tissue."""
    hu = scan.array
    size = np.minimum(PATCH, hu.shape)
    some = hu[::2, ::4, ::4]
    centres = np.argwhere((some > SOFT_HU[0]) & (some < SOFT_HU[1])) * (2, 4, 4)
    if not len(centres):
        found = f"values from {hu.min()} to {hu.max()}"
        remedy = "Convert the scan to HU, or leave it out"
        raise InputError(scan.path, expected="a CT with soft tissue, 20 to 250 HU", found=found, remedy=remedy)
    starts = np.clip(rng.permutation(centres)[:PATCHES] - size // 2, 0, np.array(hu.shape) - size)
    pieces = [hu[tuple(map(slice, start, start + size))].astype(float) for start in starts]
    pieces.sort(key=lambda piece: ndi.gaussian_filter(piece, (0.5, 2, 2)).std())
    power = np.mean([np.abs(np.fft.fftn(piece - piece.mean())) ** 2 for piece in pieces[:PATCHES_KEPT]], axis=0)
    return np.fft.fftshift(np.fft.ifftn(np.sqrt(power / power.size)).real)
