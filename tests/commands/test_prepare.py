from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kidneyseg.cli import main
from kidneyseg.data.batches import Batches
from kidneyseg.data.phantom import write_cohort
from kidneyseg.recipe import load_recipe

SMALL = ["stages.coarse.sampling.patch=[32,64,64]", "stages.coarse.sampling.stride=[32,64,64]",
         "stages.fine.sampling.size=[64,64]"]


def run(data: Path, work: Path, *options: str) -> int:
    folders = ["--data", str(data), "--work", str(work)]
    return main(["prepare", "-c", "mplab", *SMALL, *folders, "--workers", "2", *options])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "cohort"
    write_cohort(folder, 4, seed=3)
    return folder


@pytest.fixture(scope="module")
def work(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    assert run(data, folder, "--folds", "2") == 0
    return folder


def test_everything_training_needs_is_there(work):
    recipe = load_recipe(work / "recipe.yaml")
    splits = json.loads((work / "splits.json").read_text())
    assert sorted(name for fold in splits["folds"] for name in fold["val"]) == [f"case_{n:05d}" for n in range(4)]
    for stage, shape in zip(recipe.stages, ((32, 64, 64), (64, 64))):
        for train, names in splits["folds"][0].items():
            batches = Batches(work, stage, names, train=train == "train", seed=0, batch_size=2)
            image, target, _ = next(batches.epoch(0))
            assert image.shape == (2, 1, *shape) and batches.foreground.any()
            assert set(range(int(target.max()) + 1)) <= set(range(stage.classes))


def test_a_second_run_says_that_all_is_there_and_keeps_the_folds(data, work, capsys):
    before = (work / "splits.json").read_bytes()
    assert run(data, work) == 0
    said = capsys.readouterr().out
    assert "4 already there" in said and "coarse" in said and "MiB" in said
    assert (work / "splits.json").read_bytes() == before


def test_other_folds_are_made_unless_models_were_trained_on_the_old(data, work, tmp_path, capsys):
    own = tmp_path / "work"
    shutil.copytree(work, own)
    assert run(data, own, "--folds", "4") == 0
    assert len(json.loads((own / "splits.json").read_text())["folds"]) == 4
    (own / "fold0").mkdir()
    assert run(data, own, "--folds", "2") == 2
    assert "used by fold0" in capsys.readouterr().err
    assert run(data, own) == 0
