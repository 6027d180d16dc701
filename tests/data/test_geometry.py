from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.data.geometry import check_regions, image_on, slice_grids, volume_grid
from kidneyseg.errors import InputError
from kidneyseg.recipe import Loss, Network, Recipe, Region, Slices, Stage, Volumes
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8
from kidneyseg.volume.roi import kidney_boxes


def stage(sampling, name="coarse", **region) -> Stage:
    return Stage(name=name, region=Region(**region), sampling=sampling, targets=((1, 2),),
                 network=Network(name="unet3d"), loss=Loss(name="dice_ce"))


def test_volume_grid_is_the_body_at_the_stages_spacing():
    hu = np.full((40, 120, 120), -1000, np.int16)
    hu[:, 20:100, 30:110] = 40
    grid = volume_grid(hu, (2.0, 1.0, 1.0), stage(Volumes(spacing=(4, 2, 2))))
    np.testing.assert_allclose(grid.spacing((2.0, 1.0, 1.0)), (4, 2, 2), rtol=0.02)
    assert grid.shape[0] == 20 and 40 <= grid.shape[1] <= 42 and 40 <= grid.shape[2] <= 42
    whole = volume_grid(hu, (2.0, 1.0, 1.0), stage(Volumes(spacing=(4, 2, 2)), body=False))
    assert whole.shape == (20, 60, 60)


def test_slice_grids_hold_the_whole_kidney_at_the_scans_own_resolution():
    scan = Grid((40, 120, 120))
    label = np.zeros(scan.shape, np.uint8)
    label[10:21, 33:58, 41:62] = 1
    coarse = Grid.of(label).resize((20, 50, 50))
    boxes = kidney_boxes(sample(label, scan, coarse, 0), gap=15, margin=3)
    [(roi, slices)] = slice_grids(boxes, coarse, scan, (64, 96))
    assert slices.shape == (roi.shape[0], 64, 96) and roi.step == (1.0, 1.0, 1.0)
    inside = tuple(slice(int(o), int(o) + n) for o, n in zip(roi.origin, roi.shape))
    assert label[inside].sum() == label.sum()
    assert sample(label, scan, roi, 0).sum() == label.sum()


def test_boxes_outside_the_scan_are_left_out():
    scan = Grid((10, 10, 10))
    wide = Grid((30, 10, 10))
    assert slice_grids([(slice(20, 25), slice(0, 5), slice(0, 5))], wide, scan, (8, 8)) == []


@pytest.mark.parametrize("stages", [
    (stage(Slices()),),
    (stage(Volumes()), stage(Volumes(), "fine", of="coarse")),
    (stage(Volumes()), stage(Slices(), "fine", of="coarse"), stage(Slices(), "finer", of="fine")),
])
def test_combinations_that_cannot_be_cut_are_refused(stages):
    with pytest.raises(InputError, match="region"):
        check_regions(Recipe(name="odd", stages=stages))


def test_the_papers_combination_is_accepted():
    check_regions(Recipe(name="mplab", stages=(stage(Volumes()), stage(Slices(), "fine", of="coarse"))))


@pytest.mark.parametrize("box", [
    (slice(3, 9), slice(10, 25), slice(0, 17)),  # at the scan's border
    (slice(4, 8), slice(6, 21), slice(5, 30)),
    (slice(-2, 4), slice(20, 44), slice(8, 12)),  # reaches outside
])
@pytest.mark.parametrize("size", [(7, 9), (32, 64)])
def test_the_image_on_a_grid_is_that_of_the_whole_scan(box, size):
    hu = np.random.default_rng(3).integers(-200, 400, (12, 36, 36)).astype(np.int16)
    grid = Grid.of(hu).crop(box)
    grid = grid.resize((grid.shape[0], *size))
    whole = sample(to_uint8(hu, (-79, 304)), Grid.of(hu), grid, order=1)
    np.testing.assert_array_equal(image_on(grid, hu, (-79, 304)), whole)


def test_only_the_part_under_the_grid_is_converted(monkeypatch):
    seen = []

    def spy(hu, clip):
        seen.append(hu.shape)
        return to_uint8(hu, clip)

    monkeypatch.setattr("kidneyseg.data.geometry.to_uint8", spy)
    image_on(Grid((4, 64, 64), (10, 100, 100), (1, 0.5, 0.5)), np.zeros((50, 256, 256), np.int16), (-79, 304))
    assert np.less_equal(seen, (6, 36, 36)).all() and len(seen) == 1
