"""Patches, network, loss, the choice of a setting, the clock of the training and the way back to the scan."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch")
mt = pytest.importorskip("monai.transforms")

from kidneyseg.benchmark.nnunet import network as networks  # noqa: E402
from kidneyseg.benchmark.nnunet import speed, training  # noqa: E402
from kidneyseg.benchmark.nnunet.images import Intensity, make_case  # noqa: E402
from kidneyseg.benchmark.nnunet.patches import Patches, augmentation  # noqa: E402
from kidneyseg.benchmark.nnunet.plan import Plan, make_plan  # noqa: E402
from kidneyseg.benchmark.nnunet.prediction import segment  # noqa: E402
from kidneyseg.errors import InputError  # noqa: E402
from kidneyseg.volume.nifti import Scan  # noqa: E402

PATCH = (8, 12, 16)
PLAN = make_plan([(1, 1, 1)], [(32, 32, 32)], 32**3)  # 4 levels


def corner_case():
    classes = np.zeros((20, 24, 28), np.uint8)
    classes[:2, -2:, :2] = 1
    return make_case(classes.astype(np.float32), classes, np.random.default_rng(0))


def test_one_patch_of_two_shows_foreground_and_none_leaves_the_scan():
    patches = Patches([corner_case()], PATCH, seed=0)
    patches.augment = mt.Compose([mt.CenterSpatialCropd(["image", "classes"], PATCH)])
    patches.cases[0].image[...] += 5  # so that padding would show
    seen = []
    for _ in range(20):
        image, classes = patches.batch()
        assert image.shape == classes.shape == (2, 1, *PATCH)
        assert image.min() == 5 and torch.equal(image - 5, classes)
        seen.append(classes.flatten(1).any(1).tolist())
    assert all(second for _, second in seen) and not all(first for first, _ in seen)


def test_augmented_batches_are_reproducible_and_classes_stay_classes():
    one, other = (Patches([corner_case()], PATCH, seed=3) for _ in range(2))
    for _ in range(5):
        (image, classes), (same_image, same_classes) = one.batch(), other.batch()
        assert torch.equal(image, same_image) and torch.equal(classes, same_classes)
        assert image.isfinite().all() and set(classes.unique().tolist()) <= {0.0, 1.0}


def test_flat_patches_are_turned_in_plane_alone():
    """What varies with z alone is the same after any turn in plane."""
    cut = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 96, 96)).copy()
    turn = augmentation((4, 32, 32)).transforms[0]
    turn.set_random_state(0)
    turn.prob = 1.0
    found = turn({"image": torch.from_numpy(cut)[None], "classes": torch.from_numpy(cut)[None]})
    middle = found["image"][0, :, 40:56, 40:56]
    np.testing.assert_allclose(np.asarray(middle), cut[:, 40:56, 40:56], atol=1e-4)


def test_all_but_the_two_lowest_resolutions_are_supervised():
    network = networks.build(PLAN, 3, 2)
    x = torch.randn(1, 1, *PLAN.patch)
    assert [tuple(one.shape) for one in network.train()(x)] == [(1, 3, 32, 32, 32), (1, 3, 16, 16, 16)]
    assert network.eval()(x).shape == (1, 3, 32, 32, 32)
    three_levels = make_plan([(1, 1, 1)], [(16, 16, 16)], 16**3)
    assert networks.build(three_levels, 2, 2).train()(torch.randn(1, 1, 16, 16, 16)).shape == (1, 2, 16, 16, 16)


def test_the_weights_of_the_resolutions_add_up_to_one():
    """The same answer everywhere has the same loss at every resolution: cross-entropy log 2, and Dice of one half."""
    target = torch.ones(1, 1, 16, 16, 16)
    logits = [torch.zeros(1, 2, n, n, n) for n in (16, 8)]
    dice = 2 * 0.5 / (1 + 0.5)
    assert networks.build_loss(PLAN)(logits, target).item() == pytest.approx(math.log(2) + 1 - dice, abs=1e-4)


def test_a_setting_whose_loss_is_not_finite_is_not_chosen(monkeypatch):
    good = speed.Setting(channels_last=True)
    monkeypatch.setattr(speed, "settings", lambda: [speed.Setting(), good, speed.Setting(True, True)])
    network = torch.nn.Linear(1, 1)
    chosen, took = speed.fastest(network, lambda copied, how: lambda batch: 1.0 if how == good else math.nan, None, 0)
    assert chosen == good and sorted(map(math.isfinite, took.values())) == [False, False, True]


class Clock:
    """Steps of 4 s."""

    now = 0.0

    def __init__(self, loss=1.0):
        self.loss, self.shares = loss, []

    def step(self, batch, share):
        self.now += 4
        self.shares.append(share)
        return self.loss


class NoPatches:
    def batch(self):
        return None


@pytest.mark.parametrize("seconds, steps", [(1, 1), (4, 1), (11, 2), (12, 3)])
def test_training_ends_in_time(seconds, steps):
    clock = Clock()
    assert training.train(clock.step, NoPatches(), seconds, lambda: clock.now) == [1.0] * steps
    assert clock.shares == [4 * n / seconds for n in range(steps)]


def test_training_that_diverges_is_said():
    clock = Clock(loss=math.nan)
    with pytest.raises(InputError, match="nan after 1 steps"):
        training.train(clock.step, NoPatches(), 100, lambda: clock.now)


def test_steps_lower_the_loss_and_their_rate():
    torch.manual_seed(0)
    plan = make_plan([(1, 1, 1)], [(16, 16, 16)], 16**3)
    step = training.Step(networks.build(plan, 2, 4), networks.build_loss(plan), speed.Setting())
    image = torch.zeros(1, 1, 16, 16, 16)
    image[..., 4:12, 4:12, 4:12] = 3
    losses = [step((image, (image > 0).float()), share) for share in np.linspace(0, 0.9, 8)]
    assert losses[-1] < losses[0] - 0.1
    assert step.optimiser.param_groups[0]["lr"] == pytest.approx(1e-2 * 0.1**0.9)


class Brighter(torch.nn.Module):
    """The second class where a voxel is above the mean of the foreground."""

    def forward(self, x):
        return torch.cat([-x, x], 1)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 1, 2)])
def test_masks_lie_on_the_scan(mirror, spacing):
    hu = np.full((10, 20, 24), -1000, np.int16)
    hu[2:6, 4:12, 12:20] = 200
    scan = Scan(hu, (1.0, 1.0, 1.0), Path("ct.nii.gz"), np.eye(4), nib.Nifti1Header())
    plan = Plan(spacing, (10, 20, 24), (8, 8, 8), (), ())
    found = segment(Brighter(), speed.Setting(), plan, Intensity(0, 200, 100, 50), [0, 2], scan, mirror)
    assert found.dtype == np.uint8 and found.shape == hu.shape
    np.testing.assert_array_equal(found, np.where(hu > 0, 2, 0))
