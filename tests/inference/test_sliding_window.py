"""The sliding window against what it must equal whatever the windows."""

import numpy as np
import pytest

from kidneyseg.inference.sliding_window import centre, gaussian, sliding_slabs

PATCH = (8, 12, 10)


def whole(slabs):
    """The slabs put together; they must come in order and without gaps."""
    parts, expected = [], 0
    for first, slab in slabs:
        assert first == expected
        assert slab.dtype == np.float32
        expected += slab.shape[1]
        parts.append(slab)
    return np.concatenate(parts, axis=1)


def volume(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def identity(windows):
    """Each voxel's probability is its own intensity: no context, so windows must not show."""
    value = windows / np.float32(255)
    return np.stack([1 - value, value], axis=1).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 12, 10), (30, 25, 23), (5, 30, 9), (3, 4, 5), (41, 12, 10)])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.75])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_network_without_context_is_not_changed_by_windows(shape, overlap, batch_size):
    image = volume(shape)
    result = whole(sliding_slabs(image, PATCH, overlap, identity, 2, batch_size))
    np.testing.assert_allclose(result, np.stack([1 - image / 255, image / 255]), atol=1e-6)


def test_probabilities_of_a_constant_network_stay():
    def constant(windows):
        return np.broadcast_to(np.float32([0.2, 0.5, 0.3])[None, :, None, None, None], (len(windows), 3, *PATCH))

    result = whole(sliding_slabs(volume((29, 31, 33)), PATCH, 0.5, constant, 3, 4))
    np.testing.assert_allclose(
        result, np.broadcast_to(np.float32([0.2, 0.5, 0.3])[:, None, None, None], result.shape), rtol=1e-5
    )


def by_position(windows):
    """A network that depends on where in the window it looks, and on the window: the weights show."""
    mean = windows.mean(axis=(1, 2, 3), keepdims=True) / 255
    ramp = np.linspace(0, 1, PATCH[0])[:, None, None] * np.linspace(0, 1, PATCH[2])
    value = np.broadcast_to(ramp, (len(windows), *PATCH)) * mean
    return np.stack([1 - value, value], axis=1).astype(np.float32)


@pytest.mark.parametrize("shape", [(21, 25, 23), (30, 12, 15), (6, 20, 10)])
def test_windows_are_weighted_by_a_gaussian_and_normalised(shape):
    """Against sums over the whole volume, with windows placed and weights computed here."""
    image = volume(shape)
    padded = np.pad(image, [(0, max(0, p - n)) for p, n in zip(PATCH, shape)])
    stride = [p // 2 for p in PATCH]
    axes = [sorted({*range(0, n - p, s), n - p}) for n, p, s in zip(padded.shape, PATCH, stride)]
    curves = [np.exp(-0.5 * ((np.arange(p) - (p - 1) / 2) / (p / 8)) ** 2) for p in PATCH]
    weight = np.einsum("i,j,k->ijk", *curves)
    top, bottom = np.zeros((2, *padded.shape)), np.zeros(padded.shape)
    for z in axes[0]:
        for y in axes[1]:
            for x in axes[2]:
                box = np.s_[z : z + PATCH[0], y : y + PATCH[1], x : x + PATCH[2]]
                top[(slice(None), *box)] += by_position(padded[box][None])[0] * weight
                bottom[box] += weight
    expected = (top / bottom)[:, : shape[0], : shape[1], : shape[2]]
    result = whole(sliding_slabs(image, PATCH, 0.5, by_position, 2, 3))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def named(windows):
    """Each window says its own number, the intensity of its first voxel, and nothing else."""
    value = np.broadcast_to(windows[:, :1, :1, :1] / np.float32(255), windows.shape)
    return np.stack([1 - value, value], axis=1).astype(np.float32)


@pytest.mark.parametrize("depth, starts", [(64, [0]), (128, [0, 32, 64]), (160, [0, 32, 64, 96])])
def test_windows_of_64_at_every_32_keep_16_to_48_and_the_ends_theirs(depth, starts):
    """The published rule, written out: out[start + 16 : start + 48] = window[16:48]."""
    image = np.zeros((depth, 8, 8), np.uint8)
    image[:, 0, 0] = np.arange(depth)
    result = whole(sliding_slabs(image, (64, 8, 8), 0.5, named, 2, 2, "centre"))[1]
    expected = np.zeros(depth)
    for start in starts:
        expected[start + 16 : start + 48] = start / 255
    expected[-16:] = starts[-1] / 255
    np.testing.assert_allclose(result, np.broadcast_to(expected[:, None, None], result.shape), atol=2e-6)


@pytest.mark.parametrize("shape", [(21, 25, 23), (30, 12, 15), (9, 20, 10)])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_only_windows_count_that_have_a_voxel_in_their_middle(shape, overlap):
    """Voxel by voxel: the mean over the windows with it in the middle half, else over all that hold it."""
    image = volume(shape)
    axes = []
    for n, p in zip(shape, PATCH):
        last, stride = max(0, n - p), round(p * (1 - overlap))
        axes.append(sorted({*range(0, last, stride), last}))
    padded = np.pad(image, [(0, max(0, p - n)) for p, n in zip(PATCH, shape)])
    sums, counts = np.zeros((2, *padded.shape)), np.zeros((2, *padded.shape))  # middle, anywhere
    for z in axes[0]:
        for y in axes[1]:
            for x in axes[2]:
                box = np.s_[z : z + PATCH[0], y : y + PATCH[1], x : x + PATCH[2]]
                inner = tuple(
                    slice(0 if a == min(starts) else a + p // 4, a + p if a == max(starts) else a + p - p // 4)
                    if a > 0
                    else slice(0, p if max(starts) == 0 else p - p // 4)
                    for a, p, starts in zip((z, y, x), PATCH, axes)
                )
                said = np.zeros(padded.shape)
                said[box] = by_position(padded[box][None])[0, 1]
                sums[0][inner] += said[inner]
                counts[0][inner] += 1
                sums[1][box] += said[box]
                counts[1][box] += 1
    result = whole(sliding_slabs(image, PATCH, overlap, by_position, 2, 3, "centre"))[1]
    inside = tuple(slice(0, n) for n in shape)
    sums, counts = sums[(slice(None), *inside)], counts[(slice(None), *inside)]
    middle = counts[0] > 0
    assert middle.all() == (overlap == 0.5)
    np.testing.assert_allclose(result[middle], (sums[0] / np.maximum(counts[0], 1))[middle], atol=1e-5)
    alone = counts[1] == 1
    np.testing.assert_allclose(result[alone], sums[1][alone], atol=1e-5)


def test_the_middle_of_the_only_window_of_an_axis_is_all_of_it():
    assert (centre((0, 0, 0), (8, 12, 10), (8, 12, 10)) == 1).all()
    weight = centre((8, 0, 0), (8, 12, 10), (24, 12, 10))
    assert (weight[2:6] == 1).all() and weight[[0, 1, 6, 7]].max() < 1e-5 and weight.min() > 0


def test_gaussian_is_largest_at_the_centre_and_nowhere_zero():
    weight = gaussian((80, 160, 160))
    assert weight.dtype == np.float32
    assert weight.min() > 0 and weight.max() == 1
    assert np.array_equal(weight, weight[::-1, ::-1, ::-1])
    # one standard deviation, an eighth of the window, off the centre line
    assert weight[39, 80, 80] / weight[49, 80, 80] == pytest.approx(np.exp(0.5 * (9.5**2 - 0.5**2) / 10**2), rel=1e-4)


@pytest.mark.parametrize("merge", ["gaussian", "centre"])
def test_memory_does_not_grow_with_the_scan(merge):
    tracemalloc = pytest.importorskip("tracemalloc")
    peaks = []
    for depth in (40, 160):
        image = np.zeros((depth, 24, 24), np.uint8)
        tracemalloc.start()
        for _ in sliding_slabs(image, (8, 12, 12), 0.5, identity, 2, 2, merge):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1] - image.nbytes)  # the padded copy is as large as the scan
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3
