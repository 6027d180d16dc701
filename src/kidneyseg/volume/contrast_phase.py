"""Simulation of other contrast phases of a CT.

Contrast medium increases the HU of kidneys, vessels and organs, but not of fat, air and bone. To remove or weaken it,
HU above those of unenhanced tissue are moved towards them: in the kidneys (25-40 HU unenhanced) with one curve, in all
other soft tissue (liver 50-65, spleen 40-50, muscle 45-60, blood 35-50 HU unenhanced) with another; bone is not
changed. HU below the threshold of a curve do not change, because fat, cysts and necrosis are the same in every phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage as ndi

from kidneyseg.recipe import Phases

NAMES = tuple(Phases.model_fields)
BONE_HU = 200.0  # above soft tissue in a portal or nephrographic phase
CORTEX = 0.35  # outer fraction of a kidney's depth, slice by slice
LESS_HU = 60.0  # decrease in HU from which the full noise is added
RIM = 0.7  # voxels, width of the transition between the curves of kidney and other tissue


@dataclass(frozen=True)
class Curve:
    """Scales HU above ``threshold``: the part above it is multiplied by ``gain`` (1: no change, 0: no contrast)."""

    threshold: float
    gain: float

    def __call__(self, hu: np.ndarray) -> np.ndarray:
        return np.minimum(hu, self.threshold) + self.gain * np.maximum(hu - self.threshold, 0)


@dataclass(frozen=True)
class Phase:
    """Parameters of a contrast phase.

    Attributes:
        cortex, medulla: curves of the outer and inner part of the kidneys, with their lesions.
        tissue: curve of all other soft tissue.
        noise: SD in HU of the noise that is added where a curve reduces the noise of the scan.
    """

    cortex: Curve
    medulla: Curve
    tissue: Curve
    noise: float


def draw_phase(name: str, rng: np.random.Generator) -> Phase:
    """Draw random parameters of a phase of ``NAMES``.

    unenhanced: no contrast or traces of it; weak: reduced contrast everywhere; corticomedullary: bright cortex around
    dark medulla; nephrographic: kidneys homogeneously bright, or brighter than in the scan.
    """
    kidney, tissue, noise = rng.uniform(22, 35), rng.uniform(40, 55), rng.uniform(8, 20)
    if name == "unenhanced":
        cortex = medulla = rng.uniform(0.0, 0.12)
        around = rng.uniform(0.0, 0.2)
    elif name == "weak":
        cortex = medulla = rng.uniform(0.15, 0.7)
        around = rng.uniform(0.15, 0.7)
    elif name == "corticomedullary":
        cortex, medulla, around = rng.uniform(1.0, 1.5), rng.uniform(0.25, 0.6), rng.uniform(0.3, 0.9)
    elif name == "nephrographic":
        cortex = rng.uniform(0.8, 1.4)
        medulla, around = cortex * rng.uniform(0.9, 1.15), rng.uniform(0.7, 1.1)
    else:
        raise ValueError(f"there is no phase {name!r}")
    return Phase(Curve(kidney, cortex), Curve(kidney, medulla), Curve(tissue, around), noise)


def change_phase(hu: np.ndarray, kidney: np.ndarray, phase: Phase, rng: np.random.Generator) -> np.ndarray:
    """Change ``hu`` to another contrast phase.

    Args:
        hu: (z, y, x) or (y, x), HU of any real type.
        kidney: bool, the same shape: kidneys with their tumours and cysts.
        phase: the parameters.
        rng: random generator, for the noise.

    Returns:
        float32 of the same shape.
    """
    hu = hu.astype(np.float32)
    volume, mask = np.atleast_3d(hu.T).T, np.atleast_3d(kidney.T).T  # (1, y, x) of a slice
    share = _share_of_kidney(mask)
    kept = _bone(volume, mask)
    inner = phase.medulla(volume)
    of_kidney = inner + _outer_part(mask) * (phase.cortex(volume) - inner)
    changed = share * of_kidney + (1 - share) * np.where(kept, volume, phase.tissue(volume))
    weakened = np.clip((volume - changed) / LESS_HU, 0, 1)
    noise = rng.standard_normal(volume.shape, dtype=np.float32)
    return (changed + np.float32(phase.noise) * weakened * noise).reshape(hu.shape)


def _share_of_kidney(mask: np.ndarray) -> np.ndarray:
    """Compute the weight of the kidney: 0 outside, 1 inside, in between within a voxel of the edge; float32."""
    return np.stack([cv2.GaussianBlur(plane.astype(np.float32), (0, 0), RIM) for plane in mask])


def _outer_part(mask: np.ndarray) -> np.ndarray:
    """Estimate the cortex from the depth below the kidney's outline in each slice: bool."""
    depth = np.stack([cv2.distanceTransform(plane.astype(np.uint8), cv2.DIST_L2, 3) for plane in mask])
    return depth < CORTEX * depth.max(axis=(1, 2), keepdims=True)


def _bone(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Find bone: bright voxels outside the kidneys, the voxels they enclose in a slice, and one voxel around; bool."""
    bright = (volume > BONE_HU) & ~mask
    return np.stack([ndi.binary_dilation(ndi.binary_fill_holes(ndi.binary_closing(plane))) for plane in bright]) & ~mask
