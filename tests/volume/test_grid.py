"""Grids: crops come back exactly, resampling keeps positions in mm, linear functions stay linear."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.volume.grid import Grid, sample


def positions(grid: Grid, axis: int) -> np.ndarray:
    return grid.origin[axis] + np.arange(grid.shape[axis]) * grid.step[axis]


def test_crop_and_back_is_exact():
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (9, 14, 11), dtype=np.uint8)
    full = Grid.of(mask)
    roi = full.crop((slice(2, 7), slice(3, 9), slice(0, 11)))
    part = sample(mask, full, roi, order=0)
    np.testing.assert_array_equal(part, mask[2:7, 3:9, 0:11])
    back = sample(part, roi, full, order=0)
    expected = np.zeros_like(mask)
    expected[2:7, 3:9, 0:11] = mask[2:7, 3:9, 0:11]
    np.testing.assert_array_equal(back, expected)


def test_crop_reaching_outside_is_filled():
    image = np.ones((4, 4, 4), np.int16)
    full = Grid.of(image)
    out = sample(image, full, full.crop((slice(-2, 4), slice(0, 6), slice(1, 3))), order=1, fill=-1000)
    assert out.shape == (6, 6, 2)
    assert (out[:2] == -1000).all() and (out[2:, :4] == 1).all() and (out[:, 4:] == -1000).all()


def test_resize_keeps_outer_faces():
    grid = Grid((10, 20, 30)).resize((4, 40, 30))
    for axis, n in enumerate((10, 20, 30)):
        at = positions(grid, axis)
        assert at[0] - grid.step[axis] / 2 == pytest.approx(-0.5)
        assert at[-1] + grid.step[axis] / 2 == pytest.approx(n - 0.5)


def test_at_spacing_rounds_to_whole_voxels():
    grid = Grid((100, 512, 512)).at_spacing((3.22, 1.62, 1.62), (5.0, 0.8, 0.8))
    assert grid.shape == (155, 253, 253)
    assert grid.spacing((5.0, 0.8, 0.8)) == pytest.approx((500 / 155, 512 * 0.8 / 253, 512 * 0.8 / 253))


def test_linear_sampling_reproduces_a_linear_function():
    full = Grid((8, 9, 10))
    z, y, x = np.meshgrid(*(positions(full, a) for a in range(3)), indexing="ij")
    image = (2 * z - y + 0.5 * x).astype(np.float32)
    target = full.crop((slice(1, 7), slice(1, 8), slice(2, 9))).resize((5, 13, 9))
    z, y, x = np.meshgrid(*(positions(target, a) for a in range(3)), indexing="ij")
    np.testing.assert_allclose(sample(image, full, target, order=1), 2 * z - y + 0.5 * x, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 7, 6), (20, 28, 24), (3, 3, 3)])
def test_nearest_takes_the_closest_voxel(shape):
    rng = np.random.default_rng(1)
    mask = rng.integers(0, 4, (10, 14, 12), dtype=np.uint8)
    full = Grid.of(mask)
    target = full.resize(shape)
    out = sample(mask, full, target, order=0)
    for index in np.ndindex(*shape):
        near = [
            np.flatnonzero(np.isclose(d, d.min()))
            for d in (np.abs(positions(full, a) - positions(target, a)[i]) for a, i in enumerate(index))
        ]
        assert out[index] in mask[np.ix_(*near)]


TARGETS = [
    Grid((20, 17, 30)).resize((31, 44, 41)),  # finer
    Grid((20, 17, 30)).resize((9, 5, 11)),  # coarser
    Grid((7, 50, 13), (3.3, 0.2, 9.1), (1.9, 0.31, 1.0)),  # both, of a part
    Grid((20, 40, 30), (0.0, 0.25, 0.0), (1.0, 0.4, 1.0)),  # one axis only
    Grid((1, 2, 1), (19.2, 15.4, 0.0)),  # next to the last faces
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int16])
@pytest.mark.parametrize("target", TARGETS)
def test_linear_sampling_is_that_of_scipy(target, dtype):
    """Integers up to the rounding of what lies, but for float32, half-way."""
    image = np.random.default_rng(5).random((20, 17, 30)) * (1 if dtype in (np.float32, np.float64) else 255)
    image = image.astype(dtype)
    between = ndi.affine_transform(
        image,
        np.array(target.step),
        target.origin,
        output_shape=target.shape,
        order=1,
        mode="nearest",
        output=np.float64,
    )
    found = sample(image, Grid.of(image), target, order=1)
    assert found.dtype == dtype and found.shape == target.shape
    if np.issubdtype(dtype, np.integer):
        half = np.abs(between - np.floor(between) - 0.5) < 1e-4
        np.testing.assert_array_equal(found[~half], np.rint(between)[~half])
        assert np.abs(found - between).max() < 0.5001
    else:
        np.testing.assert_allclose(found, between, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("target", [*TARGETS, Grid((9, 9, 9), (-3, 2, 5)), Grid((30, 30, 30), (-4, -2, 0), (0.9,) * 3)])
def test_several_arrays_are_sampled_as_each_by_itself(target, order):
    arrays = np.random.default_rng(6).random((2, 3, 20, 17, 30), np.float32)
    grid = Grid(arrays.shape[2:])
    each = np.stack([[sample(array, grid, target, order, fill=7) for array in row] for row in arrays])
    np.testing.assert_array_equal(sample(arrays, grid, target, order, fill=7), each)


def test_upsampling_by_a_whole_factor_and_back_is_exact():
    rng = np.random.default_rng(2)
    mask = rng.integers(0, 3, (4, 5, 6), dtype=np.uint8)
    full = Grid.of(mask)
    fine = full.resize((12, 15, 18))
    np.testing.assert_array_equal(sample(sample(mask, full, fine, 0), fine, full, 0), mask)


def test_cover_holds_the_box_and_nothing_needless():
    coarse = Grid((20, 30, 30)).at_spacing((2, 2, 2), (1, 1, 1))
    box = coarse.cover((slice(2, 5), slice(0, 4), slice(10, 15)), Grid((20, 30, 30)))
    assert box == (slice(4, 10), slice(0, 8), slice(20, 30))


def test_round_trip_through_a_dict_and_a_wrong_shape():
    grid = Grid((2, 3, 4)).resize((5, 5, 5))
    assert Grid.from_dict(grid.to_dict()) == grid
    with pytest.raises(ValueError, match="does not fit a grid"):
        sample(np.zeros((2, 2, 2)), grid, grid, 0)
