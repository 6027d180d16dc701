import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.volume.box import bounding_box, widen


@pytest.mark.parametrize("shape", [(9,), (6, 7), (5, 6, 7)])
def test_as_scipy_finds_it(shape):
    for seed in range(5):
        mask = np.random.default_rng(seed).random(shape) > 0.9
        mask[tuple(n // 2 for n in shape)] = True
        assert bounding_box(mask) == ndi.find_objects(mask.astype(np.uint8))[0]


def test_an_empty_mask_has_an_empty_box():
    mask = np.zeros((3, 4, 5), bool)
    assert mask[bounding_box(mask)].size == 0


@pytest.mark.parametrize(
    "part, margin, least, expected",
    [
        ((10, 20), 3, 0, (7, 23)),
        ((1, 20), 3, 0, (0, 23)),  # the margin is cut off
        ((10, 20), 3, 16, (7, 23)),  # long enough with its margin
        ((10, 20), 0, 16, (7, 23)),
        ((10, 20), 0, 13, (9, 22)),
        ((0, 4), 0, 10, (0, 10)),
        ((38, 40), 1, 10, (30, 40)),
        ((18, 22), 0, 50, (0, 40)),  # the volume has no more
    ],
)
def test_widened_sides(part, margin, least, expected):
    box = (slice(*part), slice(0, 5))
    first, second = widen(box, (40, 5), margin, least)
    assert (first.start, first.stop) == expected and second == slice(0, 5)


def test_a_widened_box_holds_the_box_and_stays_in_the_volume():
    for start in range(10):
        for stop in range(start + 1, 11):
            for margin, least in ((0, 6), (2, 7), (1, 30)):
                [wide] = widen([slice(start, stop)], [10], margin, least)
                assert 0 <= wide.start <= start and stop <= wide.stop <= 10
                assert wide.stop - wide.start >= min(least, 10)
