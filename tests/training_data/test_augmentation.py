from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.recipe import Augment, Intensity
from kidneyseg.training_data.augmentation import Augmentation, AugmentParams, IntensityParams
from kidneyseg.training_data.spatial_transform import SpatialParams
from kidneyseg.volume.contrast_phase import Curve, Phase
from kidneyseg.volume.intensity import normalise

INTENSITY = Intensity(mean=100, std=50)
EVERYTHING = Augment(
    flip=0.5,
    flip_axes="zyx",
    rotate=30,
    scale=[0.6, 1.3],
    shift=0.1,
    brightness=0.3,
    contrast=[0.6, 1.5],
    gamma=0.3,
    noise=0.1,
    blur=1.0,
    elastic={"probability": 0.2},
    equalise=0.3,
    probability=0.7,
    lesion={"classes": [2], "brightness": 0.4, "contrast": 0.2, "gamma": [0.5, 2]},
)


def smooth(shape, seed=0) -> np.ndarray:
    field = ndi.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    return np.uint8(255 * (field - field.min()) / np.ptp(field))


def augmentation(spec=EVERYTHING) -> Augmentation:
    return Augmentation(spec, INTENSITY)


@pytest.mark.parametrize("shape", [(5, 24, 30), (24, 30)])
def test_an_empty_draw_only_normalises_and_leaves_the_input(shape):
    image, label = smooth(shape), np.random.default_rng(1).integers(0, 3, shape, np.uint8)
    before = image.copy(), label.copy()
    got, same = augmentation().apply(image, label, AugmentParams())
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
        assert AugmentParams(noise_seed=drawn.noise_seed) == drawn


def test_draws_stay_in_range_and_reach_both_ends():
    drawn = [augmentation().draw(np.random.default_rng(seed)) for seed in range(2000)]
    for values, low, high in (
        ([d.moves.rotate for d in drawn], -30, 30),
        ([d.moves.scale for d in drawn], 0.6, 1.3),
        ([d.moves.shift[0] for d in drawn], -0.1, 0.1),
        ([d.tone.gamma for d in drawn], 0.7, 1.3),
        ([d.tone.contrast for d in drawn], 0.6, 1.5),
        ([d.tone.brightness for d in drawn], -0.3, 0.3),
        ([d.noise for d in drawn], 0, 0.1),
        ([d.blur for d in drawn], 0, 1),
        ([d.lesion.gamma for d in drawn], 0.5, 2),
        ([d.lesion.contrast for d in drawn], 0.8, 1.2),
        ([d.lesion.brightness for d in drawn], -0.4, 0.4),
        ([d.moves.elastic.sigma for d in drawn if d.moves.elastic], 3, 5),
        ([d.moves.elastic.magnitude for d in drawn if d.moves.elastic], 100, 200),
    ):
        span = high - low
        assert low <= min(values) < low + 0.05 * span and high - 0.05 * span < max(values) <= high
    for share, expected in (
        (np.mean([d.moves.rotate != 0 for d in drawn]), 0.7),
        (np.mean([d.lesion.gamma != 1 for d in drawn]), 0.7),
        (np.mean([d.moves.elastic is not None for d in drawn]), 0.2),
        (np.mean([d.equalise for d in drawn]), 0.3),
        *((np.mean([axis in d.moves.flips for d in drawn]), 0.5) for axis in "zyx"),
    ):
        assert abs(share - expected) < 0.04


def test_what_is_added_to_a_recipe_leaves_the_other_draws_as_they_were():
    plain = Augment(rotate=20, blur=1)
    more = plain.model_copy(update={"elastic": EVERYTHING.elastic, "lesion": EVERYTHING.lesion, "equalise": 0.5})
    for seed in range(20):
        one, two = (augmentation(spec).draw(np.random.default_rng(seed)) for spec in (plain, more))
        assert one == replace(two, lesion=IntensityParams(), equalise=False, moves=replace(two.moves, elastic=None))


def test_intensity_follows_its_formula():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    got, _ = augmentation().apply(image, image, AugmentParams(tone=IntensityParams(1.2, 0.9, -0.2)))
    expected = (255 * (image / 255.0) ** 1.2 - 100) / 50 * 0.9 - 0.2
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_noise_has_the_drawn_deviation_and_repeats_with_its_seed():
    image = np.full((20, 60, 60), 100, np.uint8)
    first, _ = augmentation().apply(image, image, AugmentParams(noise=0.3, noise_seed=5))
    again, _ = augmentation().apply(image, image, AugmentParams(noise=0.3, noise_seed=5))
    other, _ = augmentation().apply(image, image, AugmentParams(noise=0.3, noise_seed=6))
    assert abs(first.std() - 0.3) < 0.01 and abs(first.mean()) < 0.01
    assert (first == again).all() and (first != other).any()


def test_blur_is_an_in_plane_gaussian():
    image = smooth((3, 40, 40))
    got, _ = augmentation().apply(image, image, AugmentParams(blur=1.5))
    expected = ndi.gaussian_filter(normalise(image, 100, 50), (0, 1.5, 1.5), truncate=3.5)
    np.testing.assert_allclose(got[:, 8:-8, 8:-8], expected[:, 8:-8, 8:-8], atol=0.02)


@pytest.mark.parametrize("shape", [(4, 20, 24), (20, 24)])
def test_lesions_change_by_their_own_formula_first(shape):
    image, label = smooth(shape), np.random.default_rng(1).integers(0, 3, shape, np.uint8)
    got, _ = augmentation().apply(
        image, label, AugmentParams(tone=IntensityParams(1.2, 0.9, -0.2), lesion=IntensityParams(0.8, 1.1, 0.3))
    )
    x = image / 255.0
    lesion = np.clip(((255 * x**0.8 - 100) / 50 * 1.1 + 0.3) * 50 + 100, 0, 255)
    grey = np.where(label == 2, lesion, 255 * x)
    np.testing.assert_allclose(got, (255 * (grey / 255) ** 1.2 - 100) / 50 * 0.9 - 0.2, rtol=1e-5, atol=1e-5)


def test_a_stack_moves_as_one_and_keeps_the_labels_of_its_middle():
    stack = smooth((5, 20, 24))
    label = (stack[2] > 128).astype(np.uint8) * 2
    draw = AugmentParams(moves=SpatialParams(flips="zx", shift=(0.1, 0)), lesion=IntensityParams(brightness=1.0))
    got, moved = augmentation().apply(stack, label, draw)
    expected, where = np.zeros_like(stack), np.zeros_like(label)
    expected[:, 2:], where[2:] = stack[::-1, :-2, ::-1], label[:-2, ::-1]
    np.testing.assert_array_equal(moved, where)
    changed = np.clip(normalise(expected, 100, 50) + 1.0, -2, 155 / 50) * (where == 2)
    np.testing.assert_allclose(got, np.where(where == 2, changed, normalise(expected, 100, 50)), atol=1.01 / 50)


def test_equalisation_makes_the_histogram_of_all_slices_together_flat():
    image = np.stack([smooth((50, 50), seed) // (seed + 2) for seed in range(4)])
    got, _ = augmentation().apply(image, image, AugmentParams(equalise=True))
    grey = np.rint(got * 50 + 100)
    values, counts = np.unique(image, return_counts=True)
    ranks = (np.cumsum(counts) - counts[0]) / (image.size - counts[0])  # of all voxels but the darkest
    np.testing.assert_allclose(grey, np.rint(255 * ranks)[np.searchsorted(values, image)], atol=1)


def test_equalisation_leaves_air_and_a_flat_image_alone():
    image = smooth((40, 40))
    image[:, :20] = 0
    got, _ = augmentation().apply(image, image, AugmentParams(equalise=True))
    assert (got[:, :20] == normalise(np.uint8([0]), 100, 50)).all() and got[:, 20:].max() == np.float32(155 / 50)
    flat = np.full((8, 8), 70, np.uint8)
    assert (augmentation().apply(flat, flat, AugmentParams(equalise=True))[0] == normalise(flat, 100, 50)).all()


def test_a_volumes_own_moments_are_taken_before_its_tone_changes():
    image = smooth((4, 20, 20))
    own = Augmentation(EVERYTHING, Intensity(per_volume=True))
    plain, _ = own.apply(image, image, AugmentParams())
    assert abs(plain.mean()) < 1e-5 and abs(plain.std() - 1) < 1e-5
    brighter, _ = own.apply(image, image, AugmentParams(tone=IntensityParams(brightness=0.25)))
    np.testing.assert_allclose(brighter, plain + 0.25, atol=1e-5)


def test_clip_keeps_to_the_range_of_the_clipped_hu():
    image = smooth((4, 20, 20))
    draw = AugmentParams(tone=IntensityParams(contrast=1.5), noise=0.5, blur=0.5)
    wild, _ = augmentation().apply(image, image, draw)
    tame, _ = augmentation(Augment(clip=True)).apply(image, image, draw)
    np.testing.assert_array_equal(tame, np.clip(wild, np.float32(-2), np.float32(3.1)))
    assert wild.min() < -2 and wild.max() > 3.1


def test_phases_and_saturation_are_drawn_as_often_as_asked():
    spec = Augment(phases={"unenhanced": 0.3, "weak": 0.2}, saturation={"probability": 0.25, "hu": [150, 250]})
    drawn = [augmentation(spec).draw(np.random.default_rng(seed)) for seed in range(2000)]
    assert abs(np.mean([d.phase is not None for d in drawn]) - 0.5) < 0.04
    limits = [d.saturation for d in drawn if np.isfinite(d.saturation)]
    assert abs(len(limits) / 2000 - 0.25) < 0.03 and 150 <= min(limits) < 160 and 240 < max(limits) <= 250
    off = augmentation(Augment()).draw(np.random.default_rng(0))
    assert off.phase is None and off.saturation == np.inf


@pytest.mark.parametrize("shape", [(3, 40, 40), (40, 40)])
def test_a_phase_takes_contrast_out_of_the_kidney_alone(shape):
    clip = INTENSITY.clip
    grey = lambda hu: round((hu - clip[0]) / (clip[1] - clip[0]) * 255)  # noqa: E731
    image, label = np.full(shape, grey(-60), np.uint8), np.zeros(shape, np.uint8)
    label[..., 10:30, 10:30] = 1
    image[label > 0] = grey(180)
    draw = AugmentParams(phase=Phase(Curve(30, 0), Curve(30, 0), Curve(50, 0), noise=0))
    changed = augmentation().apply(image, label, draw)[0] * INTENSITY.std + INTENSITY.mean
    np.testing.assert_allclose(changed[..., 14:26, 14:26], grey(30), atol=1)
    np.testing.assert_allclose(changed[..., :6, :], grey(-60), atol=1)


def test_the_label_of_a_stack_says_where_the_kidney_is_in_all_its_slices():
    image, label = np.full((3, 20, 20), 200, np.uint8), np.zeros((20, 20), np.uint8)
    label[5:15, 5:15] = 1
    draw = AugmentParams(phase=Phase(Curve(30, 0), Curve(30, 0), Curve(300, 1), noise=0))
    changed = augmentation().apply(image, label, draw)[0]
    np.testing.assert_array_equal(changed[0], changed[2])
    assert changed[0, 10, 10] < changed[0, 0, 0]


def test_saturation_cuts_off_above_its_limit():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    changed = augmentation().apply(image, np.zeros_like(image), AugmentParams(saturation=INTENSITY.clip[1] / 2))[0]
    limit = round((INTENSITY.clip[1] / 2 - INTENSITY.clip[0]) / (INTENSITY.clip[1] - INTENSITY.clip[0]) * 255)
    np.testing.assert_allclose(changed, normalise(np.minimum(image, limit), 100, 50), rtol=1e-6)
