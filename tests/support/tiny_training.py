"""Tiny prepared data for tests that really train; made in a second, without a scan."""

import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from kidneyseg.recipe import Recipe, load_recipe
from kidneyseg.training_data.mindrecord import write_records
from kidneyseg.training_data.prepared_case import PreparedCase, PreparedStage, case_folder, recipe_settings, record_file
from kidneyseg.training_data.samples import Sample

CASES = ["case0", "case1", "case2", "case3"]
SLICES = 4
SOURCE = {"path": "none", "bytes": 0, "modified": 0}
RECIPE = """
name: tiny
stages:
  - name: coarse
    sampling: {spacing: [3, 3, 3], patch: [4, 16, 16], stride: [4, 8, 8]}
    targets: [[1, 2]]
    network: {name: unet3d, width: 2, depth: 2}
    loss: {name: dice_ce}
    train: {epochs: 2, batch_size: 2, checkpoint_every: 2, schedule: {warmup: 4}}
  - name: fine
    region: {of: coarse}
    sampling: {size: [32, 32]}
    targets: [[1], [2]]
    network: {name: unet2d, width: 2, depth: 2}
    loss: {name: hybrid_dice, regions: [[1, 2], [2]]}
    train: {epochs: 2, batch_size: 2, checkpoint_every: 2, schedule: {warmup: 4}}
"""


def make_work(folder: Path) -> Path:
    """``folder``/tiny.yaml and, returned, a work folder prepared for it: three training cases, one to validate on."""
    folder.joinpath("tiny.yaml").write_text(RECIPE)
    prepare_blobs(folder / "work", load_recipe(folder / "tiny.yaml"))
    return folder / "work"


def prepare_blobs(work: Path, recipe: Recipe) -> None:
    for number, case in enumerate(CASES):
        folder = case_folder(work, case)
        folder.mkdir(parents=True)
        stages = {}
        for stage in recipe.stages:
            shape = stage.sampling.window
            samples = [blob(shape, [number, index], stage.classes) for index in range(SLICES)]
            flags = write_records(record_file(folder, case, stage.name), case, samples)
            stages[stage.name] = PreparedStage(foreground=flags, grids=[])
        PreparedCase(
            case=case,
            image=SOURCE,
            label=SOURCE,
            shape=[4, 32, 32],
            spacing=[3, 1, 1],
            labels=[1, 2],
            settings=recipe_settings(recipe),
            stages=stages,
        ).write(folder)
    folds = [{"train": CASES[:3], "val": CASES[3:]}, {"train": CASES[1:], "val": CASES[:1]}]
    (work / "splits.json").write_text(json.dumps({"seed": 1, "folds": folds}))


def blob(shape: tuple[int, ...], seed: list[int], classes: int) -> Sample:
    """Smooth noise; its brightest parts are class 1 and, of more than two classes, the peaks class 2."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    noise /= noise.std()
    label = (noise > 0.5).astype(np.uint8) + ((noise > 1.2) & (classes > 2)).astype(np.uint8)
    image = np.clip(120 + 60 * noise, 0, 255).astype(np.uint8)
    return Sample(image, label, 0, (0, 0, 0))
