"""Batches of random patches, with nnU-Net's augmentation by MONAI's transforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai import transforms as mt
from monai.data import set_track_meta

from kidneyseg.benchmark.nnunet.images import TrainingCase
from kidneyseg.benchmark.nnunet.plan import Triple, anisotropic
from kidneyseg.volume.grid import Grid, sample

BATCH = 2
RANDOM = round(BATCH * (1 - 0.33))  # patches per batch at random positions; the others are centred on foreground
REACH = 1.6  # edge of the crop, in patch edges: a patch that is rotated by 30 degrees and scaled by 0.85 fits inside


class Patches:
    """Draws any number of batches from ``cases``; the same ``seed`` gives the same batches."""

    def __init__(self, cases: Sequence[TrainingCase], patch: Triple, seed: int) -> None:
        self.cases, self.patch = cases, patch
        self.rng = np.random.default_rng(seed)
        set_track_meta(False)
        self.augment = augmentation(patch).set_random_state(seed)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw a batch: images and classes, (2, 1, z, y, x) float32 each."""
        drawn = [self.augment(self._cut(foreground=number >= RANDOM)) for number in range(BATCH)]
        image, classes = (torch.stack([one[key] for one in drawn]) for key in ("image", "classes"))
        return image, classes

    def _cut(self, foreground: bool) -> dict[str, torch.Tensor]:
        case = self.cases[self.rng.integers(len(self.cases))]
        patch, reach = np.array(self.patch), np.rint(REACH * np.array(self.patch)).astype(int)
        first = patch // 2  # first and last are the limits for centres of patches inside the scan
        last = np.maximum(first, case.image.shape - patch + first)
        if foreground and case.voxels:
            centre = self.rng.choice(case.voxels[self.rng.integers(len(case.voxels))]).clip(first, last)
        else:
            centre = self.rng.integers(first, last, endpoint=True)
        start = centre - reach // 2
        whole = Grid.of(case.image)
        box = whole.crop([slice(int(low), int(high)) for low, high in zip(start, start + reach)])
        return {
            "image": torch.from_numpy(sample(case.image, whole, box, 0))[None],
            "classes": torch.from_numpy(sample(case.classes, whole, box, 0))[None].float(),
        }


def augmentation(patch: Triple) -> mt.Compose:
    """Build the augmentation from a crop of ``Patches`` to a patch.

    Flat patches are rotated only in their plane, but by any angle.
    """
    both, image = ["image", "classes"], ["image"]
    turns = {"range_x": np.pi} if anisotropic(patch) else {f"range_{axis}": np.pi / 6 for axis in "xyz"}
    return mt.Compose(
        [
            mt.RandRotated(both, prob=0.2, mode=("bilinear", "nearest"), padding_mode="zeros", **turns),
            mt.RandZoomd(
                both, prob=0.2, min_zoom=0.7, max_zoom=1.4, mode=("trilinear", "nearest-exact"), padding_mode="constant"
            ),
            mt.CenterSpatialCropd(both, patch),
            mt.RandGaussianNoised(image, prob=0.1, std=0.1**0.5),
            mt.RandGaussianSmoothd(image, (0.5, 1), (0.5, 1), (0.5, 1), prob=0.2 * 0.5),
            mt.RandScaleIntensityd(image, factors=0.25, prob=0.15),
            mt.RandScaleIntensityFixedMeand(image, factors=0.25, preserve_range=True, prob=0.15),
            mt.RandSimulateLowResolutiond(image, prob=0.25 * 0.5, zoom_range=(0.5, 1)),
            mt.RandAdjustContrastd(image, prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
            mt.RandAdjustContrastd(image, prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            *(mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
        ]
    )
