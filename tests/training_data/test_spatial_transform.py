from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.training_data.spatial_transform import ElasticField, SpatialParams, SpatialTransform


def smooth(shape, seed=0) -> np.ndarray:
    field = ndi.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    return np.uint8(255 * (field - field.min()) / np.ptp(field))


def moved(array, interpolation=cv2.INTER_LINEAR, **moves) -> np.ndarray:
    return SpatialTransform(SpatialParams(**moves), array.shape[-2:])(array, interpolation)


@pytest.mark.parametrize("flips, axes", [("z", (0,)), ("y", (1,)), ("x", (2,)), ("zyx", (0, 1, 2)), ("", ())])
def test_flips_mirror(flips, axes):
    volume = smooth((4, 12, 15))
    found = moved(volume, flips=flips)
    np.testing.assert_array_equal(found, np.flip(volume, axes))
    assert found.flags.c_contiguous and not np.shares_memory(found, volume)


def test_a_slice_has_no_z_to_mirror():
    image = smooth((12, 15))
    np.testing.assert_array_equal(moved(image, flips="zx"), np.flip(image, 1))


def test_quarter_turn_is_numpys():
    image = smooth((3, 20, 20))
    np.testing.assert_allclose(moved(image, rotate=90).astype(int), np.rot90(image, axes=(1, 2)), atol=1)
    np.testing.assert_array_equal(moved(image, cv2.INTER_NEAREST, rotate=90), np.rot90(image, axes=(1, 2)))


def test_shift_moves_by_whole_pixels_and_brings_in_air():
    image = smooth((2, 20, 40))
    expected = np.zeros_like(image)
    expected[:, 2:, :-2] = image[:, :-2, 2:]
    np.testing.assert_array_equal(moved(image, shift=(0.1, -0.05)), expected)  # 2 rows down, 2 columns left


def turned(image, angle, scale, displacement=None):
    """SciPy's rotation and scale around the centre, of output pixels that are displaced first, (y, x) voxels."""
    angle, size = np.deg2rad(angle), image.shape[-2:]
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale  # output to input
    centre = (np.array(size)[:, None, None] - 1) / 2
    points = np.indices(size) + (0 if displacement is None else displacement) - centre
    where = np.einsum("ij,jyx->iyx", back, points) + centre
    return np.stack([ndi.map_coordinates(plane.astype(float), where, order=1) for plane in image])


@pytest.mark.parametrize("elastic", [None, ElasticField(4, 150, 7)])
def test_rotation_scale_and_bending_agree_with_scipy_and_image_with_label(elastic):
    image = smooth((2, 60, 70))
    expected = turned(image, 20, 1.15, None if elastic is None else elastic.field((60, 70)))
    inner = np.s_[:, 12:-12, 12:-12]
    found = moved(image, rotate=20, scale=1.15, elastic=elastic)
    assert np.abs(found.astype(float) - expected)[inner].max() < 3
    label = moved((image > 150).astype(np.uint8), cv2.INTER_NEAREST, rotate=20, scale=1.15, elastic=elastic)
    disagree = (label.astype(bool) != (expected > 150)) & (np.abs(expected - 150) > 12)
    assert not disagree[inner].any() and label[inner].any()


def test_bending_without_rotation():
    image, elastic = smooth((2, 60, 70)), ElasticField(3, 200, 1)
    expected = turned(image, 0, 1, elastic.field((60, 70)))
    assert np.abs(moved(image, elastic=elastic).astype(float) - expected)[:, 12:-12, 12:-12].max() < 2


@pytest.mark.parametrize("sigma, magnitude", [(3, 200), (5, 100)])
def test_the_field_is_a_plane_of_blurred_uniform_noise(sigma, magnitude):
    """Its deviation and how it falls off with distance, against noise blurred along three axes by SciPy."""
    rng = np.random.default_rng(0)
    cube = magnitude * ndi.gaussian_filter(rng.uniform(-1, 1, (48, 160, 160)), sigma, mode="wrap")
    field = np.stack([ElasticField(sigma, magnitude, seed).field((160, 160)) for seed in range(12)])
    assert field.shape == (12, 2, 160, 160) and field.dtype == np.float32
    field = field[..., 20:-20, 20:-20]
    assert field.std() == pytest.approx(cube.std(), rel=0.06)
    assert field.std() == pytest.approx(magnitude / np.sqrt(3) / (2 * np.sqrt(np.pi) * sigma) ** 1.5, rel=0.06)
    for far in (sigma, 2 * sigma):
        for a, b in ((field[..., far:], field[..., :-far]), (field[..., far:, :], field[..., :-far, :])):
            assert np.mean(a * b) / field.var() == pytest.approx(np.exp(-((far / sigma) ** 2) / 4), abs=0.08)
    assert abs(np.mean(field[:, 0] * field[:, 1])) < 0.1 * field.var()
    assert (ElasticField(4, 150, 3).field((9, 9)) == ElasticField(4, 150, 3).field((9, 9))).all()
