from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from views import true_view

from kidneyseg.preprocessing.class_codes import class_table
from kidneyseg.recipe import Recipe, parse_recipe
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8
from kidneyseg.volume.nifti import Scan


def recipe(**coarse) -> Recipe:
    sampling = {"spacing": [2, 2, 2], "patch": [8, 12, 16], "stride": [4, 12, 10]} | coarse
    return parse_recipe(
        {
            "name": "tiny",
            "stages": [
                {
                    "name": "coarse",
                    "sampling": sampling,
                    "targets": [[1, 2]],
                    "network": {"name": "unet3d", "depth": 2},
                    "loss": {"name": "dice_ce"},
                },
                {
                    "name": "fine",
                    "region": {"of": "coarse", "gap": 4, "margin": 1},
                    "sampling": {"size": [32, 40]},
                    "targets": [[1], [2]],
                    "network": {"name": "unet2d", "depth": 3},
                    "loss": {"name": "dice_ce"},
                },
            ],
        }
    )


@pytest.fixture(scope="module")
def case() -> tuple[Scan, np.ndarray]:
    """A body of fat with two bright kidneys, one with a tumour; (z, y, x) spacing 2 x 1 x 1 mm."""
    shape, spacing = (30, 80, 100), (2.0, 1.0, 1.0)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 8:72, 8:92] = -100
    label = np.zeros(shape, np.uint8)
    label[6:18, 40:58, 20:36] = 1
    label[8:22, 42:60, 64:80] = 1
    label[10:14, 48:52, 70:76] = 2
    hu[label == 1], hu[label == 2] = 200, 100
    return Scan(hu, spacing, Path("ct.nii.gz"), np.diag([2.0, 1, 1, 1]), nib.Nifti1Header()), label


def test_classes_follow_the_order_of_the_targets():
    label = np.array([0, 1, 2, 3], np.uint8)
    assert class_table(((2,), (1, 3)))[label].tolist() == [0, 2, 1, 2]
    assert class_table(((1, 2),))[label].tolist() == [0, 1, 1, 0]


def test_patches_tile_the_stages_grid(case):
    scan, label = case
    stage = recipe().stage("coarse")
    [grid], samples = stage_samples(true_view(scan, label, recipe(), stage), label)
    samples = list(samples)
    image = sample(to_uint8(scan.array, stage.intensity.clip), Grid.of(label), grid, 1)
    kidney = sample((label > 0).astype(np.uint8), Grid.of(label), grid, 0)
    again, truth = np.zeros_like(image), np.zeros_like(kidney)
    for s in samples:
        assert s.image.shape == s.label.shape == (8, 12, 16) and s.roi == 0
        box = tuple(slice(a, a + p) for a, p in zip(s.start, s.image.shape))
        assert s.foreground == bool(kidney[box].any())
        again[box], truth[box] = s.image, s.label
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(truth, kidney)
    assert any(s.foreground for s in samples) and not all(s.foreground for s in samples)


def test_a_volume_smaller_than_the_patch_is_padded_with_air(case):
    scan, label = case
    settings = recipe(patch=[64, 48, 64], stride=[64, 48, 64])
    [grid], samples = stage_samples(true_view(scan, label, settings, settings.stage("coarse")), label)
    [only] = samples
    assert only.image.shape == (64, 48, 64) and grid.shape < only.image.shape
    assert not only.image[grid.shape[0] :].any() and not only.label[grid.shape[0] :].any()
    assert only.image[: grid.shape[0]].any()


def test_slices_are_every_slice_of_each_kidney(case):
    scan, label = case
    grids, samples = stage_samples(true_view(scan, label, recipe(), recipe().stage("fine")), label)
    samples = list(samples)
    assert len(grids) == 2 and len(samples) == sum(grid.shape[0] for grid in grids)
    for roi, grid in enumerate(grids):
        stack = [s for s in samples if s.roi == roi]
        assert [s.start for s in stack] == [(z, 0, 0) for z in range(grid.shape[0])]
        np.testing.assert_array_equal(np.stack([s.label for s in stack]), sample(label, Grid.of(label), grid, 0))
    assert {int(v) for s in samples for v in np.unique(s.label)} == {0, 1, 2}


def test_slices_bring_the_label_back_to_the_scan(case):
    """Each kidney, cut, resized up and brought back through its grid, is the label again."""
    scan, label = case
    grids, samples = stage_samples(true_view(scan, label, recipe(), recipe().stage("fine")), label)
    samples = list(samples)
    back = np.zeros_like(label)
    for roi, grid in enumerate(grids):
        stack = np.stack([s.label for s in samples if s.roi == roi])
        back = np.maximum(back, sample(stack, grid, Grid.of(label), 0))
    np.testing.assert_array_equal(back, label)


def test_no_kidney_gives_patches_but_no_slices(case):
    scan, label = case
    nothing = np.zeros_like(label)
    assert len(list(stage_samples(true_view(scan, nothing, recipe(), recipe().stage("coarse")), nothing)[1])) > 0
    grids, samples = stage_samples(true_view(scan, nothing, recipe(), recipe().stage("fine")), nothing)
    assert grids == [] and list(samples) == []


def one_stage(sampling, **region) -> Recipe:
    """A recipe whose last stage has ``sampling`` and, if any, ``region``."""
    changed = recipe().model_dump(mode="json", exclude_none=True)
    changed["stages"][1] |= {"sampling": sampling, "region": {"of": "coarse", "margin": 1} | region}
    return parse_recipe(changed)


def resampled(scan, label, settings, grid):
    """Image and kidney on ``grid``, from the whole scan at once."""
    stage = settings.stage("fine")
    return (
        sample(to_uint8(scan.array, stage.intensity.clip), Grid.of(label), grid, 1),
        class_table(stage.targets)[sample(label, Grid.of(label), grid, 0)],
    )


def test_whole_regions_are_one_sample_each(case):
    scan, label = case
    settings = one_stage({"shape": [16, 32, 24]}, crop="kidneys", margin=2, voxels="scan")
    grids, samples = stage_samples(true_view(scan, label, settings, settings.stage("fine")), label)
    samples = list(samples)
    assert len(grids) == len(samples) == 2 and [s.start for s in samples] == [(0, 0, 0)] * 2
    for grid, s in zip(grids, samples):
        image, classes = resampled(scan, label, settings, grid)
        assert s.image.shape == grid.shape == (16, 32, 24)
        np.testing.assert_array_equal(s.image, image)
        np.testing.assert_array_equal(s.label, classes)


def test_slabs_cover_every_slice_at_their_stride_and_short_regions_are_padded_with_air(case):
    scan, label = case
    settings = one_stage({"slices": 8, "size": [32, 40], "stride": 5, "slice_spacing": 1.0}, crop="box")
    [grid], samples = stage_samples(true_view(scan, label, settings, settings.stage("fine")), label)
    image, classes = resampled(scan, label, settings, grid)
    samples = list(samples)
    assert grid.spacing(scan.spacing)[0] == pytest.approx(1.0, rel=0.02) and grid.shape[1:] == (32, 40)
    assert [s.start[0] for s in samples] == sorted({*range(0, grid.shape[0] - 8, 5), grid.shape[0] - 8})
    for s in samples:
        np.testing.assert_array_equal(s.image, image[s.start[0] : s.start[0] + 8])
        np.testing.assert_array_equal(s.label, classes[s.start[0] : s.start[0] + 8])
    tall = one_stage({"slices": 64, "size": [32, 40], "stride": 5, "near": 2}, crop="box")
    [grid], samples = stage_samples(true_view(scan, label, tall, tall.stage("fine")), label)
    [only] = samples
    assert only.image.shape == (64, 32, 40) and only.image[: grid.shape[0]].any()
    assert not only.image[grid.shape[0] :].any() and not only.label[grid.shape[0] :].any()


@pytest.mark.parametrize(
    "near, expected",
    [
        (0, [(20, 26), (48, 52)]),
        (3, [(17, 29), (45, 55)]),
        (11, [(9, 63)]),
        (10, [(10, 36), (38, 62)]),
        (90, [(0, 80)]),
    ],
)
def test_slabs_stay_near_the_targets(near, expected):
    """Targets in slices 20-25 and 48-51 of 80; together the slabs hold exactly the slices near enough."""
    label = np.zeros((80, 16, 16), np.uint8)
    label[20:26, 4:8, 4:8] = label[48:52, 4:8, 4:8] = 1
    scan = Scan(np.zeros(label.shape, np.int16), (2.0, 1, 1), Path("ct.nii.gz"), np.eye(4), nib.Nifti1Header())
    settings = parse_recipe(
        {
            "name": "slabs",
            "stages": [
                {
                    "name": "only",
                    "region": {"body": False},
                    "targets": [[1]],
                    "network": {"name": "unet3d", "depth": 2},
                    "sampling": {"slices": 4, "size": [16, 16], "stride": 3, "near": near},
                    "loss": {"name": "dice_ce"},
                }
            ],
        }
    )
    samples = list(stage_samples(true_view(scan, label, settings, settings.stages[0]), label)[1])
    covered = sorted({z for s in samples for z in range(s.start[0], s.start[0] + 4)})
    assert covered == [z for first, last in expected for z in range(first, last)]
    assert (
        list(
            stage_samples(true_view(scan, np.zeros_like(label), settings, settings.stages[0]), np.zeros_like(label))[1]
        )
        == []
    )


def test_a_run_shorter_than_a_slab_takes_its_neighbours():
    label = np.zeros((40, 16, 16), np.uint8)
    label[38, 4:8, 4:8] = 1
    scan = Scan(np.zeros(label.shape, np.int16), (2.0, 1, 1), Path("ct.nii.gz"), np.eye(4), nib.Nifti1Header())
    settings = parse_recipe(
        {
            "name": "slabs",
            "stages": [
                {
                    "name": "only",
                    "region": {"body": False},
                    "targets": [[1]],
                    "network": {"name": "unet3d", "depth": 2},
                    "sampling": {"slices": 8, "size": [16, 16], "stride": 8, "near": 1},
                    "loss": {"name": "dice_ce"},
                }
            ],
        }
    )
    [only] = stage_samples(true_view(scan, label, settings, settings.stages[0]), label)[1]
    assert only.start == (32, 0, 0) and only.label[6].any()


def test_masked_samples_show_the_kidney_alone(case):
    """On the scan's own voxels, with an earlier mask on the scan: image times label, exactly."""
    scan, label = case
    settings = one_stage({"size": [80, 100]}, crop="slices", margin=0, masked=True)
    settings = settings.model_copy(update={"result": ("coarse", "fine")})
    [grid], samples = stage_samples(true_view(scan, label, settings, settings.stage("fine")), label)
    image = np.stack([s.image for s in samples])
    assert grid == Grid((16, 80, 100), (6.0, 0.0, 0.0))
    np.testing.assert_array_equal(image, (to_uint8(scan.array, (-79, 304)) * (label > 0))[6:22])


def test_stages_may_look_at_what_a_stage_of_regions_should_find(case):
    """Coarse -> fine (slices) -> finest (volumes): the masks between them are the labels."""
    scan, label = case
    changed = one_stage({"size": [32, 40]}).model_dump(mode="json", exclude_none=True)
    changed["stages"].append(
        {
            "name": "finest",
            "region": {"of": "fine", "crop": "box", "margin": 0},
            "sampling": {"spacing": [2, 1, 1], "patch": [16, 16, 64], "stride": [16, 16, 64]},
            "targets": [[2]],
            "network": {"name": "unet3d", "depth": 2},
            "loss": {"name": "dice_ce"},
        }
    )
    settings = parse_recipe(changed)
    [grid], samples = stage_samples(true_view(scan, label, settings, settings.stage("finest")), label)
    assert grid == Grid((16, 20, 60), (6.0, 40.0, 20.0))
    assert sum(int(s.label.sum()) for s in samples) >= int((label == 2).sum()) > 0
