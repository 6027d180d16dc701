"""Slices and stacks of slices, against what each must hold."""

import numpy as np
import pytest

from kidneyseg.inference.slice_by_slice import slice_slabs


@pytest.mark.parametrize("stack", [1, 3, 5])
@pytest.mark.parametrize("depth, batch_size", [(7, 3), (1, 4), (2, 2)])
def test_every_slice_once_with_its_neighbours(stack, depth, batch_size):
    """The network answers with the weighted sum of its stack; padding the volume with its end slices says the same."""
    image = np.random.default_rng(0).integers(0, 256, (depth, 4, 5), np.uint8)
    weights = np.arange(1, stack + 1) / 1000
    sizes = []

    def network(images):
        assert images.shape[1:] == (stack, 4, 5) and images.dtype == np.uint8
        sizes.append(len(images))
        value = np.einsum("nsyx,s->nyx", images, weights)
        return np.stack([-value, value], axis=1).astype(np.float32)

    slabs = list(slice_slabs(image, network, batch_size, stack))
    assert [first for first, _ in slabs] == list(range(0, depth, batch_size)) and sum(sizes) == depth
    got = np.concatenate([slab for _, slab in slabs], axis=1)
    padded = np.pad(image, [(stack // 2, stack // 2), (0, 0), (0, 0)], mode="edge").astype(float)
    expected = sum(w * padded[k : k + depth] for k, w in enumerate(weights))
    np.testing.assert_allclose(got, [-expected, expected], rtol=1e-5)
