"""Runtimes that read the answer off the intensity, and a scan made for them: what is tested is all that is around."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from kidneyseg.inference.model import Model
from kidneyseg.recipe import Recipe, Stage, parse_recipe
from kidneyseg.volume.nifti import Scan, read_image

FAT, KIDNEY, TUMOUR, AIR = -60, 100, 250, -1000  # HU, far apart


class ByIntensity:
    """Classes of kidney (label 1, with or without others) above halfway from fat to kidney, of label 2 alone above
    halfway from kidney to tumour; of a stack of slices, in the middle one."""

    def __init__(self, stage: Stage):
        self.stage, self.batches = stage, []
        low, high = stage.intensity.clip
        limits = {1: (FAT + KIDNEY) / 2, 2: (KIDNEY + TUMOUR) / 2}
        self.thresholds = [(limits[target[0]] - low) * 255 / (high - low) for target in stage.targets]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(images.shape)
        assert images.dtype == np.float32 and images.shape[1] == self.stage.channels
        level = images[:, self.stage.channels // 2] * self.stage.intensity.std + self.stage.intensity.mean
        found = sum((level > t).astype(int) for t in self.thresholds)
        return np.moveaxis(np.eye(self.stage.classes, dtype=np.float32)[found], -1, 1)


def make_recipe(size=(64, 64), spacing=(3.22, 1.62, 1.62), patch=(16, 32, 32), gap=15, margin=3, **coarse) -> Recipe:
    """The two stages of mplab, small."""
    network, loss = {"name": "unet3d"}, {"name": "dice_ce"}
    return parse_recipe(
        {
            "name": "double",
            "stages": [
                {
                    "name": "coarse",
                    "sampling": {"spacing": spacing, "patch": patch, "stride": patch},
                    "targets": [[1, 2]],
                    "network": network,
                    "loss": loss,
                    "inference": {"batch_size": 2},
                    **coarse,
                },
                {
                    "name": "fine",
                    "region": {"of": "coarse", "gap": gap, "margin": margin},
                    "sampling": {"size": size},
                    "targets": [[1], [2]],
                    "network": network,
                    "loss": loss,
                    "inference": {"batch_size": 5},
                },
            ],
        }
    )


def make_model(recipe: Recipe) -> Model:
    return Model(recipe, {stage.name: ByIntensity(stage) for stage in recipe.stages})


def ellipsoid(shape, centre, radii) -> np.ndarray:
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii)) <= 1


def make_labels(shape, kidneys, tumours=()) -> np.ndarray:
    """Labels (z, y, x) uint8; ``kidneys`` and ``tumours`` are (centre, radii) in voxels."""
    labels = np.zeros(shape, np.uint8)
    for value, solids in ((1, kidneys), (2, tumours)):
        for centre, radii in solids:
            labels[ellipsoid(shape, centre, radii)] = value
    return labels


def make_hu(labels: np.ndarray) -> np.ndarray:
    """int16 HU: labels inside a body of fat inside air."""
    shape = labels.shape
    body = ellipsoid(shape, [n / 2 for n in shape], [10 * shape[0], shape[1] * 0.48, shape[2] * 0.48]) | (labels > 0)
    return np.choose(labels, [np.where(body, FAT, AIR), KIDNEY, TUMOUR]).astype(np.int16)


def save_scan(path: Path, array: np.ndarray, spacing, axes=(2, 1, 0), flips=(False, False, False)) -> Path:
    """Write canonical ``array`` (z to Superior, y to Posterior, x to Left) with file axes ``axes``, some flipped.

    The affine is built from the definition of the canonical axes, not with the code under test.
    """
    world = {0: (0, 0, 1), 1: (0, -1, 0), 2: (-1, 0, 0)}  # directions of canonical z, y, x in RAS
    affine, data = np.eye(4), array.transpose(axes)
    for column, (axis, flip) in enumerate(zip(axes, flips)):
        direction = np.array(world[axis], float) * spacing[axis]
        if flip:
            data = np.flip(data, column)
            affine[:3, 3] += direction * (array.shape[axis] - 1)
        affine[:3, column] = -direction if flip else direction
    image = nib.Nifti1Image(np.ascontiguousarray(data), affine)
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def read_saved(tmp_path: Path, array: np.ndarray, spacing) -> Scan:
    return read_image(save_scan(tmp_path / "scan.nii.gz", array, spacing))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
