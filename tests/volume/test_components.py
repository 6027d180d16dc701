from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.recipe import Component
from kidneyseg.volume.components import clean

ML = 0.001  # one voxel is a cubic millimetre


def test_holes_get_the_first_label_and_open_cavities_stay():
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[1:8, 1:8, 1:8] = 1
    mask[3:5, 3:5, 3:5] = 0  # closed
    mask[6, 6, 1:8] = 0  # a tunnel to the outside
    got = clean(mask, [Component(labels=(1,), fill_holes=True)], ML)
    assert (got[3:5, 3:5, 3:5] == 1).all() and (got[6, 6, 1:8] == 0).all()
    np.testing.assert_array_equal(got > 0, ndi.binary_fill_holes(mask))


def test_union_is_one_object_and_inner_labels_survive():
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[1:8, 1:8, 1:8] = 1
    mask[4, 4, 4] = 2
    np.testing.assert_array_equal(clean(mask, [Component(labels=(1, 2), fill_holes=True, min_fraction=0.5)], ML), mask)


def test_small_tumours_are_dropped_and_refilled_as_kidney():
    """S0's post-process: tumour first, then kidney and tumour together."""
    mask = np.zeros((30, 30, 30), np.uint8)
    mask[2:28, 2:28, 2:28] = 1
    mask[5:15, 5:15, 5:15] = 2  # 1000 voxels, with a kidney-labelled hole
    mask[9, 9, 9] = 1
    mask[20:24, 20:24, 20:24] = 2  # 64 voxels, below 20 %
    s0 = [
        Component(labels=(2,), fill_holes=True, min_fraction=0.2),
        Component(labels=(1, 2), fill_holes=True, min_fraction=0.2),
    ]
    got = clean(mask, s0, ML)
    assert got[9, 9, 9] == 2 and (got[20:24, 20:24, 20:24] == 1).all()
    assert (got > 0).sum() == 26**3


def test_fraction_is_of_the_largest_component_and_the_limit_itself_is_kept():
    mask = np.zeros((1, 1, 40), np.uint8)
    mask[0, 0, :10] = mask[0, 0, 12:14] = mask[0, 0, 20] = 1  # 10, 2 and 1 voxels
    kept = clean(mask, [Component(labels=(1,), min_fraction=0.2)], ML)
    assert kept.sum() == 12 and kept[0, 0, 20] == 0


def test_millilitres_count_the_voxel_volume():
    mask = np.zeros((1, 1, 40), np.uint8)
    mask[0, 0, :10] = mask[0, 0, 12:14] = 1
    assert clean(mask, [Component(labels=(1,), min_ml=1.0)], voxel_ml=0.1).sum() == 10
    assert clean(mask, [Component(labels=(1,), min_ml=1.0)], voxel_ml=0.5).sum() == 12
    assert clean(mask, [Component(labels=(1,), min_ml=1.0)], voxel_ml=0.01).sum() == 0


def test_components_are_26_connected_like_scipys():
    rng = np.random.default_rng(0)
    mask = (rng.random((20, 20, 20)) > 0.93).astype(np.uint8)
    numbered, _ = ndi.label(mask, np.ones((3, 3, 3)))
    voxels = np.bincount(numbered.ravel())
    voxels[0] = 0
    expected = mask * (voxels[numbered] >= 0.1 * voxels.max())
    got = clean(mask, [Component(labels=(1,), min_fraction=0.1)], ML)
    assert 0 < got.sum() < mask.sum()
    np.testing.assert_array_equal(got, expected)


def test_input_is_left_alone_and_an_empty_mask_stays_empty():
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[0, 0, 0] = 1
    before = mask.copy()
    assert clean(mask, [Component(labels=(1,), min_ml=1.0)], ML).sum() == 0
    np.testing.assert_array_equal(mask, before)
    assert clean(np.zeros_like(mask), [Component(labels=(1, 2), fill_holes=True, min_fraction=0.2)], ML).sum() == 0


def blobs(seed):
    rng = np.random.default_rng(seed)
    mask = ndi.binary_dilation(rng.random((24, 24, 24)) > 0.997, np.ones((3, 3, 3)))
    numbered, count = ndi.label(mask, np.ones((3, 3, 3)))
    voxels = np.bincount(numbered.ravel(), minlength=count + 1)
    voxels[0] = 0
    return mask.astype(np.uint8), numbered, voxels


def test_voxels_below_the_limit_are_dropped_whatever_their_size_in_ml():
    mask, numbered, voxels = blobs(3)
    limit = int(np.median(voxels[1:])) + 1
    got = clean(mask, [Component(labels=(1,), min_voxels=limit)], voxel_ml=123.0)
    assert 0 < got.sum() < mask.sum()
    np.testing.assert_array_equal(got, mask * (voxels[numbered] >= limit))


@pytest.mark.parametrize("kept", [1, 2, 1000])
def test_only_the_largest_are_kept(kept):
    mask, numbered, voxels = blobs(4)
    largest = np.argsort(-voxels, kind="stable")[:kept]
    got = clean(mask, [Component(labels=(1,), largest=kept)], ML)
    np.testing.assert_array_equal(got, mask * np.isin(numbered, largest))
    assert (got.sum() < mask.sum()) == (kept < np.count_nonzero(voxels))


def test_of_two_alike_one_is_the_largest():
    mask = np.zeros((1, 1, 20), np.uint8)
    mask[0, 0, 2:5] = mask[0, 0, 9:12] = 1
    assert clean(mask, [Component(labels=(1,), largest=1)], ML).sum() == 3


def test_limits_and_number_add_up_and_other_labels_stay():
    mask = np.zeros((1, 1, 40), np.uint8)
    mask[0, 0, :10] = mask[0, 0, 12:17] = mask[0, 0, 20:22] = 2
    mask[0, 0, 30] = 1
    got = clean(mask, [Component(labels=(2,), largest=2, min_voxels=6)], ML)
    assert (got == 2).sum() == 10 and got[0, 0, 30] == 1
