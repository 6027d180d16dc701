"""Plans against one that nnU-Net has published, and against cases that can be worked out by hand."""

import numpy as np
import pytest

from kidneyseg.benchmark.nnunet.plan import make_plan, topology
from kidneyseg.errors import InputError

THREES, TWOS = (3, 3, 3), (2, 2, 2)


def test_topology_of_acdc_as_published():
    kernels, strides = topology((5.0, 1.5625, 1.5625), (20, 256, 224))
    assert kernels == [(1, 3, 3)] + [THREES] * 5
    assert strides == [(1, 1, 1), (1, 2, 2), TWOS, TWOS, (1, 2, 2), (1, 2, 2)]


def test_a_cube_that_fits_is_the_patch_and_is_halved_down_to_four_voxels():
    plan = make_plan([(1, 1, 1)] * 3, [(128, 128, 128)] * 3, 128**3)
    assert plan.spacing == (1, 1, 1) and plan.patch == plan.shape == (128, 128, 128)
    assert plan.strides == ((1, 1, 1),) + (TWOS,) * 5 and plan.kernels == (THREES,) * 6


def test_voxels_grow_in_plane_first_until_a_patch_holds_a_quarter():
    """(3, 0.75, 0.75) mm: at 1.5 mm in plane the case has a fourth of its voxels. An eighth is wanted: the cube root of
    2 along all axes, 3.78 and 1.89 mm."""
    limit = 64 * 128 * 128
    plan = make_plan([(3, 0.75, 0.75)], [(128, 512, 512)], limit)
    assert plan.spacing == pytest.approx((3.78, 1.89, 1.89), rel=0.08)
    assert limit >= np.prod(plan.patch) >= np.prod(plan.shape) / 4 * 0.99
    assert not (np.array(plan.patch) % np.prod(plan.strides, axis=0)).any()
    shares = np.array(plan.patch) / plan.shape
    assert shares.max() - shares.min() < 0.15  # as much of every axis


def test_a_case_that_would_shrink_to_more_than_half_stays_at_full_resolution():
    plan = make_plan([(1, 1, 1)], [(128, 128, 128)], 128**3 // 6)
    assert plan.spacing == (1, 1, 1) and plan.shape == (128, 128, 128)


def test_long_voxels_are_those_of_the_finest_tenth():
    spacings = [(mm, 1, 1) for mm in (2, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5)]
    assert make_plan(spacings, [(60, 256, 256)] * 11, 10**9).spacing == (5, 1, 1)  # its 10th percentile
    assert make_plan(spacings, [(200, 256, 256)] * 11, 10**9).spacing == (5, 1, 1)  # the median
    spacings = [(mm, 1, 1) for mm in (2, 2, 5, 5, 5)]
    assert make_plan(spacings, [(60, 256, 256)] * 5, 10**9).spacing == (2, 1, 1)


def test_too_small_scans_are_said():
    with pytest.raises(InputError, match=r"16 voxels.*\(10, 10, 10\)"):
        make_plan([(1, 1, 1)], [(10, 10, 10)], 10**6)
