from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.recipe import Region
from kidneyseg.volume.roi import region_boxes


def mask_of(shape, *boxes) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for box in boxes:
        mask[tuple(slice(a, b) for a, b in box)] = 1
    return mask


def kidney_boxes(mask, gap, margin):
    return region_boxes(mask, Region(of="coarse", gap=gap, margin=margin))


def ends(boxes):
    return [tuple((b.start, b.stop) for b in box) for box in boxes]


def test_two_kidneys_split_along_x():
    mask = mask_of((40, 60, 100), [(10, 30), (20, 40), (10, 30)], [(12, 35), (22, 44), (60, 85)])
    assert ends(kidney_boxes(mask, gap=15, margin=3)) == [((7, 33), (17, 43), (7, 33)), ((9, 38), (19, 47), (57, 88))]


def test_neighbours_exactly_gap_apart_stay_together_and_one_more_splits():
    # the last voxel of the first piece is 19; 19 -> 34 differ by 15 (kept), 19 -> 35 by 16 (split)
    together = mask_of((1, 1, 60), [(0, 1), (0, 1), (10, 20)], [(0, 1), (0, 1), (34, 40)])
    apart = mask_of((1, 1, 60), [(0, 1), (0, 1), (10, 20)], [(0, 1), (0, 1), (35, 40)])
    assert ends(kidney_boxes(together, 15, 0)) == [((0, 1), (0, 1), (10, 40))]
    assert ends(kidney_boxes(apart, 15, 0)) == [((0, 1), (0, 1), (10, 20)), ((0, 1), (0, 1), (35, 40))]


@pytest.mark.parametrize("gap", [1, 5, 15])
def test_split_is_the_papers_numpy_expression(gap):
    mask = np.zeros((1, 1, 1000), np.uint8)
    mask[0, 0, np.cumsum(np.random.default_rng(gap).integers(1, 2 * gap + 2, 30))] = 1
    nonzero = np.flatnonzero(mask.sum(axis=(0, 1)))
    cuts = np.where(np.diff(nonzero) > gap)[0]
    starts, stops = nonzero[np.r_[0, cuts + 1]], nonzero[np.r_[cuts, len(nonzero) - 1]] + 1
    assert [e[2] for e in ends(kidney_boxes(mask, gap, 0))] == list(zip(starts, stops))


def test_margin_is_clipped_where_a_kidney_touches_the_border():
    mask = mask_of((20, 30, 30), [(0, 8), (0, 30), (25, 30)])
    assert ends(kidney_boxes(mask, 15, 3)) == [((0, 11), (0, 30), (22, 30))]


def test_empty_combinations_are_dropped_and_the_rest_is_tight():
    # Splits on z and on x make four combinations; two hold nothing, and each box hugs its own kidney on y.
    mask = mask_of((80, 50, 100), [(0, 20), (0, 10), (0, 20)], [(50, 70), (12, 30), (60, 90)])
    assert ends(kidney_boxes(mask, 15, 0)) == [((0, 20), (0, 10), (0, 20)), ((50, 70), (12, 30), (60, 90))]


def test_one_three_and_no_kidneys():
    one = [(5, 9), (5, 9), (5, 9)]
    more = [[(5, 9), (5, 9), (40, 44)], [(40, 44), (5, 9), (40, 44)]]
    assert len(kidney_boxes(mask_of((60, 60, 60), one), 15, 3)) == 1
    assert len(kidney_boxes(mask_of((60, 60, 60), one, *more), 15, 3)) == 3
    assert kidney_boxes(mask_of((60, 60, 60)), 15, 3) == []


def test_every_mask_voxel_is_in_a_box():
    mask = np.random.default_rng(3).random((40, 40, 40)) > 0.999
    covered = np.zeros(mask.shape, bool)
    for box in kidney_boxes(mask, 4, 1):
        covered[box] = True
    assert mask.any() and covered[mask].all()


TWO = [[(10, 20), (12, 30), (5, 15)], [(14, 26), (10, 28), (35, 50)]]
SHAPE = (40, 40, 60)


@pytest.mark.parametrize(
    "crop, expected",
    [
        ("kidneys", [((8, 22), (10, 32), (3, 17)), ((12, 28), (8, 30), (33, 52))]),
        ("box", [((8, 28), (8, 32), (3, 52))]),
        ("slices", [((8, 28), (0, 40), (0, 60))]),
        ("none", [((0, 40), (0, 40), (0, 60))]),
    ],
)
def test_every_crop_of_two_kidneys(crop, expected):
    region = Region(of="coarse", crop=crop, margin=2 if crop != "none" else 3, masked=True)
    assert ends(region_boxes(mask_of(SHAPE, *TWO), region)) == expected
    assert region_boxes(mask_of(SHAPE), region) == []


def test_kidneys_that_touch_at_a_corner_are_one_and_every_component_has_its_box():
    touching = mask_of(SHAPE, [(5, 10), (5, 10), (5, 10)], [(10, 15), (10, 15), (10, 15)])
    region = Region(of="coarse", crop="kidneys", margin=0)
    assert ends(region_boxes(touching, region)) == [((5, 15), (5, 15), (5, 15))]
    mask = ndi.binary_dilation(np.random.default_rng(1).random((30, 30, 30)) > 0.999, np.ones((3, 3, 3)))
    numbered, count = ndi.label(mask, np.ones((3, 3, 3)))
    expected = sorted(ends(ndi.find_objects(numbered)), key=lambda box: [start for start, _ in box])
    assert count > 3 and ends(region_boxes(mask, region)) == expected


def test_every_side_has_least_voxels():
    """10 more on every side, then 64 at least: the kidney crop of the third system; at the border it grows inwards."""
    mask = mask_of((50, 120, 120), [(20, 30), (2, 12), (40, 100)])
    region = Region(of="coarse", crop="kidneys", margin=10, least=64, voxels="scan")
    assert ends(region_boxes(mask, region)) == [((0, 50), (0, 64), (30, 110))]
