"""A mask grown by millimetres."""

import numpy as np
import pytest

from kidneyseg.volume.dilate import dilate


@pytest.mark.parametrize("spacing", [(1, 1, 1), (3.0, 0.8, 1.1)])
@pytest.mark.parametrize("mm", [0.5, 2.5, 4.0])
def test_a_point_becomes_a_ball_cut_off_by_the_volume(spacing, mm):
    mask = np.zeros((9, 15, 13), bool)
    centre = (1, 7, 12)
    mask[centre] = True
    offsets = [(np.arange(n) - c) * step for n, c, step in zip(mask.shape, centre, spacing)]
    far = np.sqrt(sum(axis**2 for axis in np.meshgrid(*offsets, indexing="ij")))
    assert np.array_equal(dilate(mask, mm, spacing), far <= mm)


def test_two_masks_are_the_union_of_each():
    one, two = np.zeros((2, 6, 20, 20), bool)
    one[1, 2:5, 3:9], two[4, 12, 12] = True, True
    spacing = (2.0, 1.0, 1.0)
    assert np.array_equal(dilate(one | two, 3.0, spacing), dilate(one, 3.0, spacing) | dilate(two, 3.0, spacing))


def test_nothing_stays_nothing():
    assert not dilate(np.zeros((3, 4, 5), bool), 10.0, (1, 1, 1)).any()
