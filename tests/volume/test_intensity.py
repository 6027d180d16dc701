from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.recipe import Intensity
from kidneyseg.volume.intensity import moments, normalise, to_uint8


def test_clip_limits_map_to_0_and_255_and_outside_is_clipped():
    hu = np.array([[[-3024, -79, 304, 3000]]], np.int16)
    assert to_uint8(hu, (-79, 304)).tolist() == [[[0, 0, 255, 255]]]


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_equals_the_formula_in_double_precision(dtype):
    hu = np.linspace(-200, 500, 7 * 11 * 13).reshape(7, 11, 13).astype(dtype)
    exact = (np.clip(hu.astype(np.float64), -79, 304) + 79) * 255 / 383
    got = to_uint8(hu, (-79, 304))
    assert got.dtype == np.uint8
    assert np.abs(got - exact).max() <= 0.5 + 1e-4


def test_normalise_equals_its_formula():
    image = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    got = normalise(image, 119.84, 103.80)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, (image.astype(np.float64) - 119.84) / 103.80, rtol=1e-6, atol=1e-7)


def test_moments_are_the_recipes_or_those_of_the_image():
    image = np.random.default_rng(5).integers(0, 200, (3, 17, 19), np.uint8)
    assert moments(image, Intensity(mean=119.84, std=103.80)) == (119.84, 103.80)
    own = moments(image, Intensity(per_volume=True))
    np.testing.assert_allclose(own, (image.mean(dtype=np.float64), image.std(dtype=np.float64)), rtol=1e-12)
    scored = normalise(image, *own)
    assert abs(scored.mean(dtype=np.float64)) < 1e-6 and abs(scored.std(dtype=np.float64) - 1) < 1e-6


@pytest.mark.parametrize("value", [0, 1, 137, 255])
def test_an_image_of_one_value_becomes_0(value):
    image = np.full((4, 5, 6), value, np.uint8)
    assert (normalise(image, *moments(image, Intensity(per_volume=True))) == 0).all()
