from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kidneyseg.cli import main
from kidneyseg.cohort.folds import make_splits, split_names
from kidneyseg.recipe import load_recipe
from kidneyseg.simulation.phantom import write_cohort
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.training_batches import TrainingBatches

SMALL = [
    "stages.coarse.sampling.patch=[32,64,64]",
    "stages.coarse.sampling.stride=[32,64,64]",
    "stages.fine.sampling.size=[64,64]",
]
NAMES = [f"case_{n:05d}" for n in range(4)]


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
    assert sorted(name for fold in splits["folds"] for name in fold["val"]) == NAMES
    for stage, shape in zip(recipe.stages, ((32, 64, 64), (64, 64))):
        fold = splits["folds"][0]
        for batches in (
            TrainingBatches(work, stage, fold["train"], seed=0, batch_size=2),
            Batches(work, stage, fold["val"], batch_size=2),
        ):
            image, target, _ = next(batches.epoch(0))
            assert image.shape == (2, 1, *shape) and batches.foreground.any()
            assert set(range(int(target.max()) + 1)) <= set(range(stage.classes))


def test_a_second_run_says_that_all_is_there_and_keeps_the_folds(data, work, capsys):
    before = (work / "splits.json").read_bytes()
    assert run(data, work) == 0
    said = capsys.readouterr().out
    assert "4 already prepared" in said and "coarse" in said and "MiB" in said
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


@pytest.fixture
def written(work, tmp_path):
    """written(folds, ...) -> a prepared folder with that splits.json."""

    def write(folds: list, **more) -> Path:
        shutil.copytree(work, tmp_path / "work")
        (tmp_path / "work" / "splits.json").write_text(json.dumps({"folds": folds, **more}))
        return tmp_path / "work"

    return write


def test_folds_written_by_hand_are_not_replaced_unasked(data, written, capsys):
    own = written([{"train": NAMES[:3], "val": NAMES[3:]}])
    before = (own / "splits.json").read_bytes()
    assert run(data, own) == 0
    assert (own / "splits.json").read_bytes() == before
    (own / "splits.json").write_text(json.dumps({"folds": [{"train": NAMES[:2], "val": NAMES[2:3]}]}))
    assert run(data, own) == 2
    error = capsys.readouterr().err
    assert "written by hand" in error and NAMES[3] in error and "--folds" in error
    assert run(data, own, "--folds", "2") == 0
    assert "split again" in capsys.readouterr().out
    splits = json.loads((own / "splits.json").read_text())
    assert len(splits["folds"]) == 2 and splits["seed"] == 2022 and split_names(splits) == NAMES


def test_new_cases_are_dealt_as_the_others_were(data, written, capsys):
    own = written(**make_splits(dict.fromkeys(NAMES[:3], 1.0), 3, seed=7))
    assert run(data, own) == 0
    splits = json.loads((own / "splits.json").read_text())
    assert len(splits["folds"]) == 3 and splits["seed"] == 7 and split_names(splits) == NAMES
    assert "3 folds of 4 cases with seed 7" in capsys.readouterr().out


def test_several_data_sets_share_a_work_folder(data, tmp_path, capsys):
    listed, work = tmp_path / "datasets.yaml", tmp_path / "work"
    listed.write_text(
        f"- {{name: one, folder: {data}, source: hospital}}\n- {{name: two, folder: {data}, source: hospital}}\n"
    )
    assert run(listed, work, "--folds", "2") == 0
    folds = json.loads((work / "splits.json").read_text())["folds"]
    for fold in folds:  # the two data sets have the same patients
        for names in fold.values():
            one, two = ({name[4:] for name in names if name.startswith(dataset)} for dataset in ("one.", "two."))
            assert one == two
    assert run(listed, work) == 0 and "8 already prepared" in capsys.readouterr().out
    folds[0]["val"][0], folds[0]["train"][0] = folds[0]["train"][0], folds[0]["val"][0]
    (work / "splits.json").write_text(json.dumps({"folds": folds}))
    assert run(listed, work) == 2
    assert "one patient" in capsys.readouterr().err
