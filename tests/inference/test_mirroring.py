"""Mean over mirror images, with networks that know left from right."""

import numpy as np
import pytest

from kidneyseg.inference.mirroring import mean_of_mirrors


def ramp(images, axes):
    """Class 1 is the voxel's intensity times its place along ``axes``: not the same in a mirror."""
    value = images[:, images.shape[1] // 2]
    for axis in axes:
        shape = [-1 if a == axis % value.ndim else 1 for a in range(value.ndim)]
        value = value * np.linspace(0.1, 1, value.shape[axis]).reshape(shape)
    return np.stack([1 - value, value], axis=1).astype(np.float32)


def volume(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_without_mirrors_it_is_the_network_itself():
    images = volume((2, 1, 4, 5, 6))
    np.testing.assert_array_equal(mean_of_mirrors(lambda i: ramp(i, (1, 2, 3)), images, ()), ramp(images, (1, 2, 3)))


@pytest.mark.parametrize("mirrors", [("z",), ("y", "x", "yx"), ("zyx",)])
def test_an_odd_ramp_along_mirrored_axes_is_levelled(mirrors):
    """Mirrored along z, a weight w(z) becomes (w(z) + w(-z)) / 2; written out per voxel for every mirror."""
    images = volume((3, 1, 4, 5, 6))
    weights = [np.linspace(0.1, 1, n) for n in (4, 5, 6)]
    mean = np.zeros((4, 5, 6))
    for mirror in ("", *mirrors):
        z, y, x = (w[::-1] if axis in mirror else w for axis, w in zip("zyx", weights))
        mean += np.einsum("i,j,k->ijk", z, y, x) / (1 + len(mirrors))
    got = mean_of_mirrors(lambda i: ramp(i, (1, 2, 3)), images, mirrors)
    assert got.dtype == np.float32 and got.shape == (3, 2, 4, 5, 6)
    np.testing.assert_allclose(got[:, 1], images[:, 0] * mean, atol=1e-6)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


def test_z_of_a_stack_is_its_order_and_its_middle_slice_stays():
    """The network favours the slice below the middle one: with "z", both neighbours count alike."""

    def below(images):
        value = 0.5 * images[:, 1] + 0.4 * images[:, 0]
        return np.stack([1 - value, value], axis=1)

    images = volume((2, 3, 5, 6))
    got = mean_of_mirrors(below, images, ("z",))
    np.testing.assert_allclose(got[:, 1], 0.5 * images[:, 1] + 0.2 * (images[:, 0] + images[:, 2]), atol=1e-6)
    along = mean_of_mirrors(lambda i: ramp(i, (2,)), images, ("zx",))
    both = (np.linspace(0.1, 1, 6) + np.linspace(1, 0.1, 6)) / 2
    np.testing.assert_allclose(along[:, 1], images[:, 1] * both, atol=1e-6)


def test_the_networks_answer_is_not_changed_in_place():
    answer = np.full((1, 2, 4, 4), 0.5, np.float32)
    answer.flags.writeable = False
    np.testing.assert_array_equal(mean_of_mirrors(lambda images: answer, volume((1, 1, 4, 4)), ("x",)), answer)
