"""Lesions and where they go, on analytic kidneys."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial import ConvexHull, Delaunay

from kidneyseg.simulation.lesions import candidate_poses, find_kidneys, find_lesions
from kidneyseg.volume.nifti import Scan

SPACING = np.array((3.1, 1.9, 1.9))
SHAPE = (60, 66, 116)
LEFT, RIGHT = (90, 60, 165), (90, 60, 55)  # centres of the kidneys in mm


def scan_of(array, spacing=SPACING):
    return Scan(array, tuple(spacing), Path("made"), np.diag([*spacing, 1]), nib.Nifti1Header())


def ellipsoid(centre, radii):
    points = np.moveaxis(np.indices(SHAPE), 0, -1) * SPACING
    return (((points - centre) / radii) ** 2).sum(axis=-1) < 1


def two_kidneys():
    label = np.zeros(SHAPE, np.uint8)
    for centre in (LEFT, RIGHT):
        label[ellipsoid(centre, (50, 24, 24))] = 1
    return label


@pytest.fixture(scope="module")
def target():
    return find_kidneys(scan_of(two_kidneys()))


def home(offset, radius, value=2, centre=LEFT):
    """The lesion that is a ball beside the centre of a kidney."""
    label = two_kidneys()
    label[ellipsoid(np.add(centre, offset), (radius,) * 3)] = value
    (found,) = find_lesions(scan_of(label))
    return label, found


def test_kidneys_are_told_by_side_and_their_outline_is_convex(target):
    assert sorted(kidney.left for kidney in target) == [False, True]
    left = next(kidney for kidney in target if kidney.left)
    np.testing.assert_array_equal(left.outline(SPACING, SHAPE), ellipsoid(LEFT, (50, 24, 24)))
    assert left.height(np.array(LEFT)) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(left.middle(0.5), LEFT, atol=1)


@pytest.mark.parametrize("offset, radius", [((0, 0, 24), 12), ((20, -20, 10), 15), ((0, 4, 4), 9)])
def test_home_of_a_lesion(offset, radius):
    label, lesion = home(offset, radius)
    kidney = np.argwhere((label == 1) & (np.indices(SHAPE)[2] > 58)) * SPACING
    hull = Delaunay(kidney[ConvexHull(kidney).vertices])
    share = (hull.find_simplex(np.argwhere(label == 2) * SPACING) >= 0).mean()
    assert lesion.share == pytest.approx(share, abs=0.03)
    assert (lesion.depth > 0).sum() == pytest.approx((label == 2).sum() * SPACING.prod(), rel=0.05)
    assert lesion.height == pytest.approx(0.5 + offset[0] / 100, abs=0.03)
    assert (lesion.label, lesion.left) == (2, True)


@pytest.mark.parametrize("offset, radius", [((0, 0, 24), 12), ((20, -20, 10), 15), ((0, 4, 4), 9)])
def test_the_share_within_the_outline_is_that_of_home(target, offset, radius):
    _, lesion = home(offset, radius)
    rng = np.random.default_rng(3)
    for kidney in target:
        centre = LEFT if kidney.left else RIGHT
        for pose in candidate_poses(rng, lesion, kidney, 3):
            points = lesion.points() @ pose.matrix.T + pose.centre
            inside = (((points - centre) / (50, 24, 24)) ** 2).sum(axis=1) < 1
            assert inside.mean() == pytest.approx(lesion.share, abs=0.06)


def test_a_lesion_of_the_other_side_is_mirrored(target):
    _, lesion = home((0, 0, 24), 12, centre=LEFT)
    outwards = {True: 1, False: -1}
    for kidney in target:
        poses = candidate_poses(np.random.default_rng(0), lesion, kidney, 9)
        x = np.median([pose.centre[2] for pose in poses]) - kidney.points[:, 2].mean()
        assert x * outwards[kidney.left] > 10


def test_a_posed_lesion_has_its_place_and_scaled_size(target):
    _, lesion = home((0, 0, 24), 12, value=3)
    for pose in candidate_poses(np.random.default_rng(1), lesion, target[0], 4):
        box, depth = pose.depth(lesion, SPACING, SHAPE)
        scale = np.cbrt(abs(np.linalg.det(pose.matrix)))
        assert 0.7 <= scale <= 1.3
        inside = (np.argwhere(depth > 0) + [part.start for part in box]) * SPACING
        np.testing.assert_allclose(inside.mean(axis=0), pose.centre, atol=0.8)
        assert len(inside) * SPACING.prod() == pytest.approx(4.19 * (12 * scale) ** 3, rel=0.1)
        assert depth.max() == pytest.approx(12 * scale, abs=3)


def test_specks_and_masks_without_kidneys_have_no_lesions():
    label = two_kidneys()
    label[30, 30, 82] = 2
    assert find_lesions(scan_of(label)) == []
    assert find_lesions(scan_of(np.zeros(SHAPE, np.uint8))) == []
