"""Every crop and sampling: where a stage looks, what it sees there, and the way back to the scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cascade_doubles import dice, ellipsoid, make_hu, make_labels

from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import view_stage
from kidneyseg.recipe import Recipe, parse_recipe
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.nifti import Scan

SHAPE, SPACING = (40, 100, 120), (3.0, 1.2, 1.2)
LEFT = ((20, 55, 90), (9, 14, 12))
RIGHT = ((16, 55, 30), (10, 13, 12))
LABELS = make_labels(SHAPE, [LEFT, RIGHT])
VOLUMES = {"spacing": [3.22, 1.62, 1.62], "patch": [16, 32, 32], "stride": [16, 32, 32]}
SAMPLINGS = {
    "volumes": VOLUMES,
    "whole": {"shape": [32, 48, 64]},
    "slabs": {"slices": 16, "size": [64, 64], "stride": 8, "slice_spacing": 2.0},
    "slabs of the scan's slices": {"slices": 16, "size": [64, 64], "stride": 8},
    "slices": {"size": [64, 96]},
    "stacks": {"size": [96, 96], "stack": 3, "slice_spacing": 1.5},
}


def scan_of(hu: np.ndarray, spacing=SPACING) -> Scan:
    return Scan(hu, spacing, Path("ct.nii.gz"), np.diag([*spacing, 1]), nib.Nifti1Header())


def stage(name, sampling, **region) -> dict:
    return {
        "name": name,
        "region": region,
        "sampling": sampling,
        "targets": [[1, 2]],
        "network": {"name": "unet3d", "depth": 2},
        "loss": {"name": "dice_ce"},
    }


def recipe(sampling, earlier=VOLUMES, **region) -> Recipe:
    return parse_recipe(
        {
            "name": "two",
            "stages": [stage("coarse", earlier, body=False), stage("fine", sampling, of="coarse", **region)],
        }
    )


def on_grid(labels: np.ndarray, grid: Grid) -> StageMask:
    return StageMask(sample(labels, Grid.of(labels), grid, 0), grid)


CROPS = [("extents", 2), ("kidneys", 2), ("box", 1), ("slices", 1), ("none", 1)]


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize("crop, count", CROPS)
def test_a_mask_seen_on_its_regions_comes_back_to_the_scan(crop, count, sampling):
    """Labels sampled to every region and back are the ellipsoids again, up to voxels that a coarser lattice skips."""
    made = recipe(sampling, crop=crop, masked=True)
    scan = scan_of(make_hu(LABELS))
    coarse, fine = made.stages
    earlier = on_grid(LABELS, view_stage(scan, made, coarse).mask_grid)
    regions = view_stage(scan, made, fine, earlier).regions
    assert len(regions) == count
    back = np.zeros_like(LABELS)
    for region in regions:
        assert region.mask_grid.step == (1, 1, 1) and all(o == round(o) for o in region.mask_grid.origin)
        seen = sample(LABELS, Grid.of(LABELS), region.input_grid, 0)
        back = np.maximum(
            back, sample(sample(seen, region.input_grid, region.mask_grid, 0), region.mask_grid, Grid.of(LABELS), 0)
        )
        # The network's lattice covers the region up to its outer faces.
        for axis in range(3):
            faces = [
                (grid.origin[axis] - grid.step[axis] / 2, grid.step[axis] * grid.shape[axis])
                for grid in (region.mask_grid, region.input_grid)
            ]
            np.testing.assert_allclose(faces[0], faces[1], atol=1e-9)
    assert dice(back > 0, LABELS > 0) > 0.93
    assert view_stage(scan, made, fine, earlier).mask_grid == Grid(SHAPE)


@pytest.mark.parametrize(
    "sampling, shape",
    [
        (VOLUMES, (37, 74, 89)),
        ({"shape": [32, 48, 64]}, (32, 48, 64)),
        ({"slices": 16, "size": [64, 48], "stride": 8, "slice_spacing": 2.0}, (60, 64, 48)),
        ({"slices": 16, "size": [64, 48], "stride": 8}, (40, 64, 48)),
        ({"size": [64, 48], "slice_spacing": 6.0}, (20, 64, 48)),
        ({"size": [64, 48], "stack": 3}, (40, 64, 48)),
    ],
)
def test_a_stage_of_the_whole_scan_sees_it_at_its_sampling(sampling, shape):
    made = parse_recipe({"name": "one", "stages": [stage("only", sampling, body=False)]})
    [region] = view_stage(scan_of(make_hu(LABELS)), made, made.stages[0]).regions
    assert region.input_grid.shape == shape and region.mask_grid == Grid(SHAPE)


def test_an_earlier_mask_stays_on_its_own_grid_unless_it_is_part_of_the_result():
    scan = scan_of(make_hu(LABELS))
    made = recipe(SAMPLINGS["slices"])
    [region] = view_stage(scan, made, made.stages[0]).regions
    assert region.mask_grid == region.input_grid == view_stage(scan, made, made.stages[0]).mask_grid != Grid(SHAPE)
    both = made.model_copy(update={"result": ("coarse", "fine")})
    [region] = view_stage(scan, both, both.stages[0]).regions
    assert region.mask_grid == view_stage(scan, both, both.stages[0]).mask_grid == Grid(SHAPE) != region.input_grid


def test_body_is_the_first_stages_region():
    hu = np.full((40, 120, 120), -1000, np.int16)
    hu[:, 20:100, 30:110] = 40
    for body, shape in ((True, (20, 41, 41)), (False, (20, 60, 60))):
        made = parse_recipe(
            {
                "name": "one",
                "stages": [
                    stage("coarse", {"spacing": [4, 2, 2], "patch": [16, 16, 16], "stride": [8, 8, 8]}, body=body),
                    stage("fine", {"size": [32, 32]}, of="coarse"),
                ],
            }
        )
        grid = view_stage(scan_of(hu, (2.0, 1.0, 1.0)), made, made.stages[0]).mask_grid
        np.testing.assert_allclose(grid.shape, shape, atol=1)
        np.testing.assert_allclose(grid.spacing((2.0, 1.0, 1.0)), (4, 2, 2), rtol=0.02)


def test_extents_hold_the_whole_kidney_at_the_scans_own_resolution():
    label = np.zeros((40, 120, 120), np.uint8)
    label[10:21, 33:58, 41:62] = 1
    made = recipe({"size": [64, 96]})
    regions = view_stage(
        scan_of(label.astype(np.int16)), made, made.stages[1], on_grid(label, Grid.of(label).resize((20, 50, 50)))
    ).regions
    [region] = regions
    assert region.input_grid.shape == (region.mask_grid.shape[0], 64, 96) and region.mask_grid.step == (1.0, 1.0, 1.0)
    assert sample(label, Grid.of(label), region.mask_grid, 0).sum() == label.sum()


def test_voxels_are_those_of_the_stage_or_of_the_scan():
    """10 voxels around a kidney of 20 x 30 x 30: of the scan, or of a grid of half its resolution."""
    label = np.zeros((80, 120, 120), np.uint8)
    label[30:50, 40:70, 50:80] = 1
    half = on_grid(label, Grid.of(label).resize((40, 60, 60)))
    sizes = {}
    for voxels in ("scan", "stage"):
        made = recipe({"shape": [32, 32, 32]}, crop="kidneys", margin=10, voxels=voxels)
        [region] = view_stage(scan_of(label.astype(np.int16)), made, made.stages[1], half).regions
        sizes[voxels] = region.mask_grid
    assert sizes["scan"] == Grid((40, 50, 50), (20.0, 30.0, 40.0))
    assert sizes["stage"] == Grid((60, 70, 70), (10.0, 20.0, 30.0))


def test_a_kidney_at_the_border_still_gets_its_least_size():
    label = np.zeros((90, 120, 120), np.uint8)
    label[:20, 100:, 50:80] = 1
    made = recipe({"shape": [32, 32, 32]}, crop="kidneys", margin=10, least=64, voxels="scan")
    [region] = view_stage(scan_of(label.astype(np.int16)), made, made.stages[1], on_grid(label, Grid.of(label))).regions
    assert region.mask_grid == Grid((64, 64, 64), (0.0, 56.0, 33.0))


@pytest.mark.parametrize("crop", ["extents", "kidneys", "box", "slices", "none"])
def test_an_empty_mask_has_no_regions(crop):
    made = recipe(SAMPLINGS["whole"], crop=crop, confined=True)
    scan = scan_of(make_hu(LABELS))
    assert view_stage(scan, made, made.stages[1], on_grid(np.zeros_like(LABELS), Grid((20, 50, 60)))).regions == ()


def test_slices_are_of_the_scans_full_width_whatever_the_earlier_grid():
    label = np.zeros(SHAPE, np.uint8)
    label[12:20, 40:60, 50:70] = 1
    body = Grid.of(label).crop((slice(0, 40), slice(20, 90), slice(30, 100)))
    made = recipe({"size": [64, 64]}, crop="slices", margin=2, masked=True)
    [region] = view_stage(scan_of(label.astype(np.int16)), made, made.stages[1], on_grid(label, body)).regions
    assert region.mask_grid == Grid((12, *SHAPE[1:]), (10.0, 0.0, 0.0))


def test_boxes_outside_the_scan_are_left_out():
    wide = np.zeros((30, 10, 10), np.uint8)
    wide[20:25] = 1
    made = recipe({"size": [8, 8]}, margin=0)
    assert (
        view_stage(
            scan_of(np.zeros((10, 10, 10), np.int16)), made, made.stages[1], StageMask(wide, Grid((30, 10, 10)))
        ).regions
        == ()
    )


@pytest.mark.parametrize("mask_shape", [SHAPE, (20, 50, 60)])
def test_masked_is_the_image_times_the_mask(mask_shape):
    hu = np.random.default_rng(1).integers(0, 300, SHAPE).astype(np.int16)
    kidney = ellipsoid(SHAPE, *LEFT)
    earlier = on_grid(kidney.astype(np.uint8), Grid(SHAPE).resize(mask_shape))
    plain = recipe(SAMPLINGS["whole"], crop="box")
    masked = recipe(SAMPLINGS["whole"], crop="box", masked=True)
    views = [view_stage(scan_of(hu), made, made.stages[1], earlier) for made in (plain, masked)]
    [region] = views[1].regions
    open_, hidden = (view.image(region.input_grid) for view in views)
    # Nearest voxel of the mask, looked up by the definition of a grid.
    index = [
        np.clip(
            np.rint(
                (
                    region.input_grid.origin[a]
                    + np.arange(region.input_grid.shape[a]) * region.input_grid.step[a]
                    - earlier.grid.origin[a]
                )
                / earlier.grid.step[a]
            ).astype(int),
            0,
            mask_shape[a] - 1,
        )
        for a in range(3)
    ]
    np.testing.assert_array_equal(hidden, open_ * earlier.mask[np.ix_(*index)])
    assert (open_ > 0).all() and 0.1 < (hidden > 0).mean() < 0.5
