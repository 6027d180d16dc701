"""`kidneyseg compare` on phantoms, its commands run in this process: one table, resumable, honest about failures."""

import csv
import json
import shutil
from pathlib import Path

import mindspore as ms
import nibabel as nib
import numpy as np
import pytest
import yaml
from cascade_doubles import make_hu, make_labels, save_scan

from kidneyseg import cli, nets
from kidneyseg.evaluation import candidate
from kidneyseg.evaluation.command_process import ChildFailed
from kidneyseg.metrics.mask_folder import score_masks
from kidneyseg.model_folder.checkpoint import TrainingState, save_weights
from kidneyseg.recipe import load_recipe, save_recipe
from kidneyseg.volume.nifti import read_mask

CASES, SHAPE, SPACING = 6, (20, 48, 60), (3.0, 1.5, 1.5)
TRAIN = {"epochs": 1, "batch_size": 2, "sampler": {"per_epoch": 4}, "schedule": {"warmup": 1, "peak": 1e-2}}
COARSE = {
    "name": "coarse",
    "sampling": {"spacing": [6, 6, 6], "patch": [16, 32, 32], "stride": [16, 32, 32]},
    "targets": [[1, 2]],
    "network": {"name": "unet3d", "width": 2, "depth": 2},
    "loss": {"name": "dice_ce"},
    "train": TRAIN,
}
FINE = {
    "name": "fine",
    "region": {"of": "coarse"},
    "sampling": {"size": [32, 32]},
    "targets": [[1], [2]],
    "network": {"name": "unet2d", "width": 2, "depth": 2},
    "loss": {"name": "dice_ce"},
    "train": TRAIN,
}
ALONE = {**FINE, "name": "alone", "region": {}, "network": {"name": "unet2d", "width": 4, "depth": 2}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "data"
    for number in range(CASES):
        labels = make_labels(
            SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 7))], [((10, 32, 44), (3, 4, 3 + number % 3))]
        )
        for name, array in (("imaging", make_hu(labels)), ("segmentation", labels)):
            save_scan(folder / f"case_{number:05d}" / f"{name}.nii.gz", array, SPACING)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """Commands run in this process; the list of those that were. Training and prediction are made up, see ACTORS."""
    made = []

    def run_command(argv):
        made.append(argv[0])
        ACTORS.get(argv[0], run_here)(argv)
        return 100.0 + len(made)

    monkeypatch.setattr(candidate, "run_command", run_command)
    return made


def run_here(argv):
    if cli.main(argv):
        raise ChildFailed(f"{argv[0]}: it was bad")


def option(argv, name):
    return argv[argv.index(name) + 1]


def train(argv):
    """Random weights instead of trained ones, where they are missing; every epoch took 60 s."""
    recipe, fold = load_recipe(option(argv, "-c")), Path(option(argv, "--work")) / f"fold{option(argv, '--fold')}"
    fold.mkdir(exist_ok=True)
    save_recipe(recipe, fold / "recipe.yaml")
    for stage in recipe.stages:
        if not (fold / stage.name).exists():
            (fold / stage.name).mkdir()
            network = nets.build_network(stage.network, stage.classes)
            save_weights(fold / stage.name / "best.ckpt", network, TrainingState())
            rows = [json.dumps({"epoch": epoch, "seconds": 60.0}) for epoch in range(stage.train.epochs)]
            (fold / stage.name / "log.jsonl").write_text("\n".join(rows) + "\n")


def predict(argv):
    """The truth, moved by a voxel, in 2 + 1 seconds."""
    entries = []
    for image in argv[argv.index("-i") + 1 : argv.index("-o")]:
        truth, path = nib.load(Path(image).with_name("segmentation.nii.gz")), Path(option(argv, "-o"))
        path.mkdir(exist_ok=True)
        path /= f"{Path(image).parent.name}.nii.gz"
        nib.save(nib.Nifti1Image(np.roll(np.asarray(truth.dataobj), 1, axis=0), truth.affine), path)
        entries.append({"image": image, "mask": str(path), "seconds": {"a": 2.0, "b": 1.0}})
    Path(option(argv, "--json")).write_text(json.dumps({"cases": entries}))


def budget(argv):
    recipe = load_recipe(option(argv, "-c"))
    save_recipe(recipe.model_copy(update={"description": f"cut to {option(argv, '--minutes')}"}), option(argv, "-o"))


ACTORS = {"train": train, "predict": predict, "budget": budget}


def write_recipe(folder, name, stages, **more):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "stages": stages, **more}))
    return str(path)


def compare(tmp_path, data, *recipes, options=()):
    return cli.main(
        [
            "compare",
            "-c",
            *recipes,
            "--data",
            str(data),
            "--work",
            str(tmp_path / "work"),
            "--workers",
            "1",
            "--device",
            "CPU",
            *options,
        ]
    )


def table(tmp_path):
    return json.loads((tmp_path / "work/comparison.json").read_text())


def test_two_recipes_one_table_and_nothing_is_done_twice(tmp_path, data, calls):
    recipes = [write_recipe(tmp_path, "two", [COARSE, FINE], merge={3: 1}), write_recipe(tmp_path, "one", [ALONE])]
    assert compare(tmp_path, data, *recipes) == 0
    assert calls == ["prepare", "train", "predict"] * 2
    work, told = tmp_path / "work", table(tmp_path)
    held_out = json.loads((work / "splits.json").read_text())["folds"][0]["val"]
    for row in told["recipes"]:
        place = work / row["recipe"]
        weights = [ms.load_checkpoint(str(path)) for path in (place / "fold0").glob("*/best.ckpt")]
        assert row["parameters"] == sum(
            value.size
            for stage in weights
            for name, value in stage.items()
            if name not in ("progress", "digest") and "moving" not in name
        )
        assert (place / "splits.json").read_text() == (work / "splits.json").read_text()
        scores = [
            score_masks(
                name,
                read_mask(place / f"fold0/predictions/{name}.nii.gz"),
                read_mask(data / name / "segmentation.nii.gz"),
            )
            for name in held_out
        ]
        for key in ("kidney", "tumour", "composite", "surface_dice_masses"):
            assert row[key] == pytest.approx(np.mean([case[key] for case in scores]))
        assert row["failed"] is None and row["seconds_per_case"] == 3 and 0 < row["kidney"] < 1
    assert [row["training_minutes"] for row in told["recipes"]] == [2, 1]  # one epoch per stage
    assert [row["training_mib"] for row in told["recipes"]] == [102, 105]
    assert [row["prediction_mib"] for row in told["recipes"]] == [103, 106]
    with open(work / "comparison.csv") as file:
        assert [row["recipe"] for row in csv.DictReader(file)] == ["two", "one"]
    markdown = (work / "comparison.md").read_text()
    assert f"| two | {told['recipes'][0]['kidney']:.3f} |" in markdown
    assert (work / "comparison.png").read_bytes().startswith(b"\x89PNG")

    calls.clear()
    assert compare(tmp_path, data, *recipes) == 0
    assert calls == [] and table(tmp_path) == told

    shutil.copy(work / "two/fold0/fine/best.ckpt", work / "one/fold0/alone/best.ckpt")  # another model
    assert compare(tmp_path, data, *recipes) == 0
    assert calls == ["predict"]

    calls.clear()
    shutil.rmtree(work / "two/fold0/fine")  # as if killed before this stage began
    assert compare(tmp_path, data, *recipes, options=["--folds", "0", "1"]) == 0
    assert calls == ["prepare", "train", "train", "predict", "predict", "prepare", "train", "predict"]
    both = table(tmp_path)["recipes"][0]
    means = [json.loads((work / f"two/fold{fold}/scores.json").read_text())["mean"]["kidney"] for fold in (0, 1)]
    assert both["kidney"] == pytest.approx(np.mean(means))


def test_a_recipe_that_fails_does_not_stop_one_that_works(tmp_path, data, calls, monkeypatch, capsys):
    """With the real commands: what they leave is what is looked for."""
    for name in list(ACTORS):
        monkeypatch.delitem(ACTORS, name)
    hot = {**ALONE, "train": {**TRAIN, "clip_norm": 0, "schedule": {"start": 1e30, "peak": 1e30, "warmup": 0}}}
    recipes = [write_recipe(tmp_path, "hot", [hot]), write_recipe(tmp_path, "one", [ALONE])]
    assert compare(tmp_path, data, *recipes) == 1
    hot, one = table(tmp_path)["recipes"]
    assert hot["failed"] == "train: it was bad" and hot["kidney"] is None
    assert one["failed"] is None and 0 <= one["kidney"] < 1
    assert one["seconds_per_case"] > 0 and one["training_minutes"] > 0
    assert "hot failed: train: it was bad" in capsys.readouterr().out
    assert "| hot | failed |" in (tmp_path / "work/comparison.md").read_text()
    calls.clear()
    assert compare(tmp_path, data, *recipes[1:]) == 0 and calls == []


def test_an_ensemble_has_a_row_of_its_own(tmp_path, data, calls):
    recipes = [write_recipe(tmp_path, "two", [COARSE, FINE], merge={3: 1}), write_recipe(tmp_path, "one", [ALONE])]
    both = ["--ensemble", "one", "two"]
    assert compare(tmp_path, data, *recipes, options=both) == 0
    assert calls == ["prepare", "train", "predict"] * 2 + ["predict"]
    two, one, team = table(tmp_path)["recipes"]
    assert team["recipe"] == "one+two" and team["failed"] is None and 0 < team["kidney"] < 1
    for key in ("parameters", "training_minutes"):
        assert team[key] == one[key] + two[key]
    assert team["prediction_mib"] == 107 and team["training_mib"] == max(one["training_mib"], two["training_mib"])
    calls.clear()
    assert compare(tmp_path, data, *recipes, options=both) == 0 and calls == []
    shutil.copy(tmp_path / "work/two/fold0/fine/best.ckpt", tmp_path / "work/one/fold0/alone/best.ckpt")
    assert compare(tmp_path, data, *recipes, options=both) == 0
    assert calls == ["predict", "predict"]  # the member, and the ensemble it is in


def test_another_recipe_helps_to_find_regions(tmp_path, data, calls, capfd):
    recipes = [write_recipe(tmp_path, name, [COARSE, FINE]) for name in ("one", "two")]
    helped = ["--ensemble", "one", "@two"]
    assert compare(tmp_path, data, *recipes, options=helped) == 0
    one, _, team = table(tmp_path)["recipes"]
    assert team["recipe"] == "one@two" and team["failed"] is None and team["parameters"] == 2 * one["parameters"]
    command = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("one@two$"))
    assert "-m {0}/one/fold0 --finders {0}/two/fold0 -i".format(tmp_path / "work") in command
    calls.clear()
    shutil.copy(tmp_path / "work/two/fold0/fine/best.ckpt", tmp_path / "work/two/fold0/coarse/best.ckpt")
    assert compare(tmp_path, data, *recipes, options=helped) == 0
    assert calls == ["predict", "predict"]  # the finder, and the one that it helps


def test_an_ensemble_without_a_member_fails_and_says_why(tmp_path, data, calls, monkeypatch):
    monkeypatch.setitem(ACTORS, "train", lambda argv: run_here(["train"]) if "one" in str(argv) else train(argv))
    monkeypatch.setattr(cli, "main", lambda argv, main=cli.main: 1 if argv == ["train"] else main(argv))
    recipes = [write_recipe(tmp_path, "two", [COARSE, FINE]), write_recipe(tmp_path, "one", [ALONE])]
    assert compare(tmp_path, data, *recipes, options=["--ensemble", "two", "one"]) == 1
    rows = {row["recipe"]: row["failed"] for row in table(tmp_path)["recipes"]}
    assert rows["two"] is None and rows["two+one"] == "it needs one"


def test_minutes_set_the_epochs_once(tmp_path, data, calls):
    path, options = write_recipe(tmp_path, "two", [COARSE, FINE]), ["--minutes", "1"]
    assert compare(tmp_path, data, path, options=options) == 0
    assert calls == ["prepare", "budget", "train", "predict"]
    for _ in range(2):
        assert load_recipe(tmp_path / "work/two/recipe.yaml").description == "cut to 1.0"
        assert load_recipe(tmp_path / "work/two/fold0/recipe.yaml").description == "cut to 1.0"
        calls.clear()
        assert compare(tmp_path, data, path, options=options) == 0 and calls == []
    assert compare(tmp_path, data, path) == 1
    assert "--minutes" in table(tmp_path)["recipes"][0]["failed"]


def test_one_split_written_by_hand_is_a_fold(tmp_path, data, calls):
    names = sorted(path.name for path in data.iterdir())
    (tmp_path / "work").mkdir()
    (tmp_path / "work/splits.json").write_text(json.dumps({"folds": [{"train": names[2:], "val": names[:2]}]}))
    assert compare(tmp_path, data, write_recipe(tmp_path, "one", [ALONE])) == 0
    assert [
        case["case"] for case in json.loads((tmp_path / "work/one/fold0/scores.json").read_text())["cases"]
    ] == names[:2]


def test_what_an_older_version_began_goes_on(tmp_path, data, calls):
    """Its recipes could not say all that today's can."""
    path = write_recipe(tmp_path, "one", [ALONE])
    assert compare(tmp_path, data, path) == 0
    file = tmp_path / "work/one/contest.json"
    notes = json.loads(file.read_text())
    del notes["asked"]["recipe"]["stages"][0]["inference"]["mirrors"]
    file.write_text(json.dumps(notes))
    calls.clear()
    assert compare(tmp_path, data, path) == 0 and calls == []
    notes["asked"]["recipe"]["stages"][0]["inference"]["gone"] = 1
    file.write_text(json.dumps(notes))
    assert compare(tmp_path, data, path) == 1 and "with which it was started" in table(tmp_path)["recipes"][0]["failed"]


def test_refusals(tmp_path, data, capsys):
    one, same = write_recipe(tmp_path, "one", [ALONE]), tmp_path / "same"
    same.mkdir()
    for recipes, options, found in (
        ([one, write_recipe(same, "one", [ALONE])], [], "'one' twice"),
        ([one], ["--folds", "5"], "0 to 4"),
        ([one], ["--ensemble", "one"], "two or more of one"),
        ([one], ["--ensemble", "one", "two"], "two or more of one"),
        ([one, write_recipe(tmp_path, "two", [ALONE])], ["--ensemble", "@one", "@two"], "not all with @"),
        ([one], ["--ensemble", "one", "@one"], "two or more of one"),
        ([one, write_recipe(tmp_path, "other", [ALONE], labels={"cyst": 1, "tumour": 2})], [], "label 1"),
    ):
        assert compare(tmp_path, data, *recipes, options=options) == 2
        assert found in capsys.readouterr().err
