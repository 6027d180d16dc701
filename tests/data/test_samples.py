from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.data.samples import stage_samples, to_classes
from kidneyseg.recipe import Recipe, parse_recipe
from kidneyseg.volume.grid import Grid, sample
from kidneyseg.volume.intensity import to_uint8
from kidneyseg.volume.nifti import Scan


def recipe(**coarse) -> Recipe:
    sampling = {"spacing": [2, 2, 2], "patch": [8, 12, 16], "stride": [4, 12, 10]} | coarse
    return parse_recipe({
        "name": "tiny",
        "stages": [
            {"name": "coarse", "sampling": sampling, "targets": [[1, 2]], "network": {"name": "unet3d", "depth": 2},
             "loss": {"name": "dice_ce"}},
            {"name": "fine", "region": {"of": "coarse", "gap": 4, "margin": 1}, "sampling": {"size": [32, 40]},
             "targets": [[1], [2]], "network": {"name": "unet2d"}, "loss": {"name": "dice_ce"}},
        ],
    })


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
    assert to_classes(label, ((2,), (1, 3))).tolist() == [0, 2, 1, 2]
    assert to_classes(label, ((1, 2),)).tolist() == [0, 1, 1, 0]


def test_patches_tile_the_stages_grid(case):
    scan, label = case
    stage = recipe().stage("coarse")
    [grid], samples = stage_samples(scan, label, recipe(), stage)
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
    [grid], samples = stage_samples(scan, label, settings, settings.stage("coarse"))
    [only] = samples
    assert only.image.shape == (64, 48, 64) and grid.shape < only.image.shape
    assert not only.image[grid.shape[0]:].any() and not only.label[grid.shape[0]:].any()
    assert only.image[:grid.shape[0]].any()


def test_slices_are_every_slice_of_each_kidney(case):
    scan, label = case
    grids, samples = stage_samples(scan, label, recipe(), recipe().stage("fine"))
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
    grids, samples = stage_samples(scan, label, recipe(), recipe().stage("fine"))
    samples = list(samples)
    back = np.zeros_like(label)
    for roi, grid in enumerate(grids):
        stack = np.stack([s.label for s in samples if s.roi == roi])
        back = np.maximum(back, sample(stack, grid, Grid.of(label), 0))
    np.testing.assert_array_equal(back, label)


def test_no_kidney_gives_patches_but_no_slices(case):
    scan, label = case
    nothing = np.zeros_like(label)
    assert len(list(stage_samples(scan, nothing, recipe(), recipe().stage("coarse"))[1])) > 0
    grids, samples = stage_samples(scan, nothing, recipe(), recipe().stage("fine"))
    assert grids == [] and list(samples) == []
