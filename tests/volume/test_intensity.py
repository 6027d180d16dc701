from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.volume.intensity import normalise, to_uint8


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
