"""Lesions look as their kind does, with the noise of their scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage as ndi
from scipy.signal import fftconvolve

from kidneyseg.errors import InputError
from kidneyseg.simulation import lesion_texture
from kidneyseg.simulation.lesion_texture import ScanLook, coverage, lesion_hu, look_of
from kidneyseg.volume.nifti import Scan

SPACING = np.array((3.0, 1.5, 1.5))


def ball(radius, shape=(32, 60, 60)):
    """Depth below the surface of a ball in the middle, in mm."""
    points = (np.moveaxis(np.indices(shape), 0, -1) - np.divide(shape, 2)) * SPACING
    return radius - np.linalg.norm(points, axis=-1)


def look(cortex):
    return ScanLook(cortex, np.zeros((1, 3, 3)), SPACING)


def scan_of(hu):
    return Scan(hu, tuple(SPACING), Path("made"), np.eye(4), nib.Nifti1Header())


def test_noise_has_the_spread_and_correlation_of_the_scans():
    rng = np.random.default_rng(0)
    noise = ndi.gaussian_filter(rng.standard_normal((40, 96, 96)), (0, 0.8, 0.8))
    scan = scan_of(100 + 15 * noise / noise.std())
    measured = look_of(rng, scan, np.ones(scan.array.shape, bool))
    made = fftconvolve(rng.standard_normal(scan.array.shape), measured.noise, mode="same")
    assert made.std() == pytest.approx(15, rel=0.1)
    for axis in range(3):
        expected, found = (
            np.corrcoef(a[2:-2].ravel(), np.roll(a, 1, axis)[2:-2].ravel())[0, 1] for a in (scan.array, made)
        )
        assert found == pytest.approx(expected, abs=0.1)


def test_a_scan_without_soft_tissue_is_refused():
    with pytest.raises(InputError, match="soft tissue"):
        look_of(np.random.default_rng(0), scan_of(np.full((8, 16, 16), 1000)), np.ones((8, 16, 16), bool))


@pytest.mark.parametrize("seed", range(4))
def test_cysts_are_even_and_watery(seed):
    depth = ball(20)
    inside = lesion_hu(np.random.default_rng(seed), 3, depth, look(200))[depth > 5]
    assert -3 < inside.mean() < 23
    assert inside.std() < 4


@pytest.mark.parametrize("cortex, low, high", [(200, 40, 92), (34, 28, 48)])
def test_papillary_and_chromophobe_tumours_are_even(monkeypatch, cortex, low, high):
    monkeypatch.setattr(lesion_texture, "CLEAR_CELL_SHARE", 0)
    depth = ball(20)
    for seed in range(4):
        inside = lesion_hu(np.random.default_rng(seed), 2, depth, look(cortex))[depth > 3]
        assert low < inside.mean() < high
        assert inside.std() < 8


def test_clear_cell_tumours_are_uneven_and_never_brighter_than_cortex(monkeypatch):
    monkeypatch.setattr(lesion_texture, "CLEAR_CELL_SHARE", 1)
    depth = ball(35)
    means = []
    for seed in range(8):
        inside = lesion_hu(np.random.default_rng(seed), 2, depth, look(200))[depth > 3]
        assert inside.std() > 6
        assert inside.max() < 215
        means.append(inside[inside > 50].mean())
    assert 80 < np.mean(means) < 170  # of 32 unenhanced and 200 in the cortex


def test_coverage_is_half_at_the_surface_and_keeps_the_volume():
    depth = ball(20)
    filled = coverage(depth, SPACING)
    assert filled.sum() * SPACING.prod() == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.03)
    assert (filled >= 0.5).sum() * SPACING.prod() == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.05)
    assert filled[depth > 8].min() > 0.99
    assert filled[depth < -8].max() < 0.01
