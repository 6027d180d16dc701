import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.volume.box import bounding_box


@pytest.mark.parametrize("shape", [(9,), (6, 7), (5, 6, 7)])
def test_as_scipy_finds_it(shape):
    for seed in range(5):
        mask = np.random.default_rng(seed).random(shape) > 0.9
        mask[tuple(n // 2 for n in shape)] = True
        assert bounding_box(mask) == ndi.find_objects(mask.astype(np.uint8))[0]


def test_an_empty_mask_has_an_empty_box():
    mask = np.zeros((3, 4, 5), bool)
    assert mask[bounding_box(mask)].size == 0
