from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.data.augment import Augmentation, Draw
from kidneyseg.recipe import Augment, Intensity
from kidneyseg.volume.intensity import normalise

INTENSITY = Intensity(mean=100, std=50)
EVERYTHING = Augment(flip=0.5, rotate=30, scale=0.2, shift=0.1, brightness=0.3, contrast=0.3, gamma=0.3, noise=0.1,
                     blur=1.0, probability=0.7)


def smooth(shape, seed=0) -> np.ndarray:
    field = ndi.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    return np.uint8(255 * (field - field.min()) / np.ptp(field))


def augmentation(spec=EVERYTHING) -> Augmentation:
    return Augmentation(spec, INTENSITY)


@pytest.mark.parametrize("shape", [(5, 24, 30), (24, 30)])
def test_an_empty_draw_only_normalises_and_leaves_the_input(shape):
    image, label = smooth(shape), np.random.default_rng(1).integers(0, 3, shape, np.uint8)
    before = image.copy(), label.copy()
    got, same = augmentation().apply(image, label, Draw())
    np.testing.assert_allclose(got, normalise(image, 100, 50), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(same, label)
    got += 1
    same += 1
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


def test_all_off_draws_nothing():
    off = Augment(flip=0, rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0)
    for seed in range(20):
        drawn = augmentation(off).draw(np.random.default_rng(seed))
        assert Draw(noise_seed=drawn.noise_seed) == drawn


def test_draws_stay_in_range_and_reach_both_ends():
    drawn = [augmentation().draw(np.random.default_rng(seed)) for seed in range(2000)]
    for values, low, high in (
        ([d.rotate for d in drawn], -30, 30), ([d.scale for d in drawn], 0.8, 1.2),
        ([d.shift[0] for d in drawn], -0.1, 0.1), ([d.gamma for d in drawn], 0.7, 1.3),
        ([d.contrast for d in drawn], 0.7, 1.3), ([d.brightness for d in drawn], -0.3, 0.3),
        ([d.noise for d in drawn], 0, 0.1), ([d.blur for d in drawn], 0, 1),
    ):
        span = high - low
        assert low <= min(values) < low + 0.05 * span and high - 0.05 * span < max(values) <= high
    applied = np.mean([d.rotate != 0 for d in drawn])
    assert abs(applied - 0.7) < 0.04 and abs(np.mean([d.flips[0] for d in drawn]) - 0.5) < 0.04


@pytest.mark.parametrize("flips, axes", [((True, False), (-2,)), ((False, True), (-1,)), ((True, True), (-2, -1))])
def test_flips_mirror_in_plane(flips, axes):
    image, label = smooth((4, 12, 15)), np.random.default_rng(1).integers(0, 3, (4, 12, 15), np.uint8)
    got, moved = augmentation().apply(image, label, Draw(flips=flips))
    np.testing.assert_array_equal(moved, np.flip(label, axes))
    np.testing.assert_allclose(got, normalise(np.flip(image, axes), 100, 50), rtol=1e-6, atol=1e-6)


def test_quarter_turn_is_numpys():
    image = smooth((3, 20, 20))
    label = (image > 128).astype(np.uint8)
    got, moved = augmentation().apply(image, label, Draw(rotate=90))
    np.testing.assert_array_equal(moved, np.rot90(label, axes=(1, 2)))
    np.testing.assert_allclose(got, normalise(np.rot90(image, axes=(1, 2)), 100, 50), atol=1.01 / 50)


def test_shift_moves_by_whole_pixels_and_brings_in_air():
    image = smooth((2, 20, 40))
    got, moved = augmentation().apply(image, image, Draw(shift=(0.1, -0.05)))  # 2 rows down, 2 columns left
    expected = np.zeros_like(image)
    expected[:, 2:, :-2] = image[:, :-2, 2:]
    np.testing.assert_array_equal(moved, expected)
    np.testing.assert_allclose(got, normalise(expected, 100, 50), atol=1.01 / 50)


def test_rotation_and_scale_agree_with_scipy_and_image_with_label():
    image = smooth((2, 60, 60))
    drawn = Draw(rotate=20, scale=1.15)
    got, moved = augmentation().apply(image, (image > 150).astype(np.uint8), drawn)
    angle, centre = np.deg2rad(20), 29.5
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / 1.15  # (y, x), output to input
    offset = centre - turn @ [centre, centre]
    expected = np.stack([ndi.affine_transform(s.astype(float), turn, offset, order=1) for s in image])
    inner = np.s_[:, 10:-10, 10:-10]
    assert np.abs(got * 50 + 100 - expected)[inner].max() < 3
    disagree = (moved.astype(bool) != (expected > 150)) & (np.abs(expected - 150) > 12)
    assert not disagree[inner].any() and moved[inner].any()


def test_intensity_follows_its_formula():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    got, _ = augmentation().apply(image, image, Draw(gamma=1.2, contrast=0.9, brightness=-0.2))
    expected = (255 * (image / 255.0) ** 1.2 - 100) / 50 * 0.9 - 0.2
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_noise_has_the_drawn_deviation_and_repeats_with_its_seed():
    image = np.full((20, 60, 60), 100, np.uint8)
    first, _ = augmentation().apply(image, image, Draw(noise=0.3, noise_seed=5))
    again, _ = augmentation().apply(image, image, Draw(noise=0.3, noise_seed=5))
    other, _ = augmentation().apply(image, image, Draw(noise=0.3, noise_seed=6))
    assert abs(first.std() - 0.3) < 0.01 and abs(first.mean()) < 0.01
    assert (first == again).all() and (first != other).any()


def test_blur_is_an_in_plane_gaussian():
    image = smooth((3, 40, 40))
    got, _ = augmentation().apply(image, image, Draw(blur=1.5))
    expected = ndi.gaussian_filter(normalise(image, 100, 50), (0, 1.5, 1.5), truncate=3.5)
    np.testing.assert_allclose(got[:, 8:-8, 8:-8], expected[:, 8:-8, 8:-8], atol=0.02)
