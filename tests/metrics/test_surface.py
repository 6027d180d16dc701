import warnings

import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.metrics.surface import robust_hausdorff, surface_dice, surface_distances


def blobs(seed, shape=(18, 22, 20)):
    """Two overlapping random masks that also touch the border and have holes."""
    rng = np.random.default_rng(seed)
    field = ndi.gaussian_filter(rng.standard_normal(shape), 2)
    return field + 0.3 * field.std() * rng.standard_normal(shape) > 0, field > 0.2 * field.std()


def box(shape, *ranges):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


@pytest.mark.parametrize("seed, spacing", list(enumerate([(1, 1, 1), (3.22, 1.62, 1.62), (5, 0.7, 0.9), (0.5, 2, 1)])))
def test_equals_surface_distance(seed, spacing):
    official = pytest.importorskip("surface_distance")
    a, b = blobs(seed)
    ours = surface_distances(a, b, spacing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy's old names
        theirs = official.compute_surface_distances(b, a, spacing)
    for tolerance in (0, 0.7, 1, 1.0330772532390826, 1.1498198361434828, 2, 4):
        expected = official.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert surface_dice(ours, tolerance) == pytest.approx(expected, abs=1e-6)
    for percent in (50, 95, 100):
        assert robust_hausdorff(ours, percent) == pytest.approx(
            official.compute_robust_hausdorff(theirs, percent), abs=1e-6
        )
    assert ours.truth_areas.sum() == pytest.approx(theirs["surfel_areas_gt"].sum())
    np.testing.assert_allclose(np.sort(ours.prediction_to_truth), theirs["distances_pred_to_gt"], atol=1e-9)


def test_shifted_plates():
    """Two plates of 10 x 40 x 40 voxels of 2 x 1 x 1 mm, shifted by 3 voxels along z: 6 mm."""
    shape, spacing = (30, 50, 50), (2, 1, 1)
    a, b = box(shape, (5, 15), (5, 45), (5, 45)), box(shape, (8, 18), (5, 45), (5, 45))
    distances = surface_distances(a, b, spacing)
    assert robust_hausdorff(distances) == 6
    assert surface_dice(distances, 6) == 1
    edge, corner = 39 * np.hypot(2, 1) / 2, np.linalg.norm([1, 2, 2]) / 8
    sides = 4 * 39 * 9 * 2 + 4 * 9 * 2 * np.hypot(1, 1) / 2
    area = 2 * 39**2 + 8 * edge + 8 * corner + sides
    # 6 mm away: the whole outer face, and of the face inside the other plate what is 6 mm from that plate's sides.
    far = 39**2 + 4 * edge + 4 * corner + 29**2
    assert surface_dice(distances, 5.999) == pytest.approx(1 - far / area)


def test_surface_area_of_a_sphere_and_a_cube():
    z, y, x = np.ogrid[:60, :60, :60]
    sphere = (z - 30) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 25**2
    area = surface_distances(sphere, sphere, (1, 1, 1)).truth_areas.sum()
    assert area == pytest.approx(4 * np.pi * 25.5**2, rel=0.1)  # marching cubes on a binary mask: some percent too much
    cube = box((12, 12, 12), (1, 11), (1, 11), (1, 11))
    area = surface_distances(cube, cube, (1, 2, 3)).truth_areas.sum()
    faces = 2 * 81 * (2 * 3 + 1 * 3 + 1 * 2)
    edges = 4 * 9 * (np.hypot(1, 2) * 3 + np.hypot(1, 3) * 2 + np.hypot(2, 3) * 1) / 2
    corners = 8 * np.linalg.norm(np.array([2 * 3, 1 * 3, 1 * 2]) / 8)
    assert area == pytest.approx(faces + edges + corners)


def test_symmetric_identical_and_unchanged_by_padding():
    a, b = blobs(7)
    spacing = (2, 0.8, 0.8)
    forth, back = surface_distances(a, b, spacing), surface_distances(b, a, spacing)
    assert surface_dice(forth, 1) == pytest.approx(surface_dice(back, 1))
    assert robust_hausdorff(forth) == robust_hausdorff(back)
    same = surface_distances(a, a, spacing)
    assert surface_dice(same, 0) == 1 and robust_hausdorff(same) == 0
    padded = surface_distances(np.pad(a, 5), np.pad(b, 5), spacing)
    assert surface_dice(padded, 1) == pytest.approx(surface_dice(forth, 1))


def test_empty_masks():
    empty, full = np.zeros((4, 5, 6), bool), np.ones((4, 5, 6), bool)
    both = surface_distances(empty, empty, (1, 1, 1))
    assert surface_dice(both, 1) == 1 and np.isnan(robust_hausdorff(both))
    for one in (surface_distances(empty, full, (1, 1, 1)), surface_distances(full, empty, (1, 1, 1))):
        assert surface_dice(one, 1000) == 0 and np.isnan(robust_hausdorff(one))


def test_distance_equal_to_the_tolerance_counts():
    """Far from the origin 0.7 k - 0.7 (k - 1) is more than 0.7 in floating point."""
    a, b = box((1, 1, 200), (0, 1), (0, 1), (100, 199)), box((1, 1, 200), (0, 1), (0, 1), (101, 200))
    assert surface_dice(surface_distances(a, b, (0.7, 0.7, 0.7)), 0.7) == 1


def test_bad_shapes():
    with pytest.raises(ValueError, match="3-D masks"):
        surface_distances(np.ones((2, 2), bool), np.ones((2, 2), bool), (1, 1))
    with pytest.raises(ValueError, match="one shape"):
        surface_distances(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), (1, 1, 1))
