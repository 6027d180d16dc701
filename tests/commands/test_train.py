"""`kidneyseg train` over an earlier run, and into infinity; what it refuses is in test_bad_input.py."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from tiny_training import make_work

from kidneyseg.cli import main
from kidneyseg.recipe import load_recipe, save_recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, capsys):
    """call(*options) -> one-line error of `kidneyseg train` on a tiny recipe and its prepared data."""
    make_work(tmp_path)

    def run(*options):
        status = main(
            ["train", "-c", str(tmp_path / "tiny.yaml"), "--work", str(tmp_path / "work"), "--device", "CPU", *options]
        )
        stderr = capsys.readouterr().err
        assert status == 2 and stderr.count("\n") == 1, stderr
        return stderr

    return run


def test_overwrite_trains_anew(tmp_path, call):
    arguments = [
        "-c",
        str(tmp_path / "tiny.yaml"),
        "stages.fine.train.epochs=1",
        "--work",
        str(tmp_path / "work"),
        "--stage",
        "fine",
        "--device",
        "CPU",
    ]
    assert subprocess.run([sys.executable, str(ROOT / "train.py"), *arguments], timeout=200).returncode == 0
    fold = tmp_path / "work/fold0"
    (session,) = json.loads((fold / "run.json").read_text())["fine"]
    assert session["cases"] == {"train": ["case0", "case1", "case2"], "val": ["case3"]}
    assert session["seed"] == 2022 and session["versions"].keys() >= {"kidneyseg", "mindspore", "numpy", "python"}
    first = (fold / "fine/best.ckpt").read_bytes()

    scores = [fold / "scores.json", fold / "scores_oracle.md"]
    for file in scores:
        file.touch()
    assert "bfloat16" in call("--stage", "fine", "--overwrite", "stages.fine.train.precision=bfloat16")
    assert (fold / "fine/best.ckpt").read_bytes() == first  # what cannot be trained forgets nothing
    assert all(file.exists() for file in scores)

    assert main(["train", *arguments, "--overwrite"]) == 0
    assert not any(file.exists() for file in scores)
    rows = [json.loads(line) for line in (fold / "fine/log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0] and rows[0]["val_dice"].keys() == {"kidney+tumour", "tumour"}
    assert len(json.loads((fold / "run.json").read_text())["fine"]) == 1
    assert len((fold / "fine/best.ckpt").read_bytes()) == pytest.approx(len(first), abs=100)


def test_the_example_with_several_devices_is_as_its_script_wants_it(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    script = "scripts/run_distribute_train.sh"
    (example,) = (line.split() for line in capsys.readouterr().out.splitlines() if script in line)
    (usage,) = (line for line in (ROOT / script).read_text().splitlines() if line.startswith("# Usage"))
    names = re.findall("[A-Z_]+", usage.partition(script)[2])
    given = dict(zip(names, example[example.index(script) + 1 :]))
    assert (given["WORK"], given["RECIPE"], given["STAGE"], given["FOLD"]) == ("work", "mplab", "all", "0")


def test_init_starts_from_the_weights_of_another_model(tmp_path, call):
    """A step too small to matter leaves the weights where they came from."""
    recipe = ["-c", str(tmp_path / "tiny.yaml"), "stages.fine.train.epochs=1"]
    here = ["train", *recipe, "--stage", "fine", "--device", "CPU"]
    work, model = ["--work", str(tmp_path / "work")], tmp_path / "work/fold0"
    still = "stages.fine.train.schedule={start: 1.0e-12, peak: 1.0e-12, end: 0, warmup: 0}"
    assert main([*here, *work]) == 0
    assert main([*here, still, *work, "--fold", "1", "--init", str(model)]) == 0
    before, after = (ms.load_checkpoint(str(path / "fine/best.ckpt")) for path in (model, tmp_path / "work/fold1"))
    weights = [name for name in before if name.endswith("weight")]
    assert weights and all(np.allclose(before[name].asnumpy(), after[name].asnumpy(), atol=1e-6) for name in weights)
    assert json.loads((tmp_path / "work/fold1/run.json").read_text())["fine"][0]["init"] == str(model)
    assert "checkpoint" in call("--stage", "fine", "--fold", "1", "--overwrite", "--init", str(tmp_path / "nowhere"))


def test_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path, call):
    error = call(
        "--stage",
        "fine",
        "stages.fine.train.schedule={start: 1.0e+30, peak: 1.0e+30, warmup: 0}",
        "stages.fine.train.clip_norm=0",
    )
    assert "a finite loss" in error and "step " in error
    assert not (tmp_path / "work/fold0/fine/best.ckpt").exists()


EXPONENTIAL = "stages.fine.train.schedule={kind: exponential, factor: 0.9, warmup: 2, end: 0.000001}"


def test_more_epochs_go_on_where_the_schedule_permits(tmp_path, call):
    """The weights are those of a run that was asked for all epochs at once."""
    straight = tmp_path / "straight"
    straight.mkdir()
    make_work(straight)

    def train(folder, *options):
        return main(
            [
                "train",
                "-c",
                str(folder / "tiny.yaml"),
                "--work",
                str(folder / "work"),
                "--stage",
                "fine",
                "--device",
                "CPU",
                *options,
            ]
        )

    assert train(straight, EXPONENTIAL) == train(tmp_path, EXPONENTIAL, "stages.fine.train.epochs=1") == 0
    assert train(tmp_path, EXPONENTIAL, "--resume") == 0
    first, second = (ms.load_checkpoint(str(folder / "work/fold0/fine/last.ckpt")) for folder in (straight, tmp_path))
    for name in first.keys() - {"progress", "digest"}:
        np.testing.assert_array_equal(first[name].asnumpy(), second[name].asnumpy())
    fewer = call("--stage", "fine", "--resume", EXPONENTIAL, "stages.fine.train.epochs=1")
    assert "another value of train" in fewer


def test_more_epochs_of_a_cosine_are_refused_with_what_is_possible(tmp_path, call):
    save_recipe(load_recipe(tmp_path / "tiny.yaml"), tmp_path / "work/fold0/recipe.yaml")
    (tmp_path / "work/fold0/fine").mkdir()
    (tmp_path / "work/fold0/fine/last.ckpt").touch()
    said = call("--stage", "fine", "--resume", "stages.fine.train.epochs=3")
    assert "expected 2 epochs" in said and "found 3" in said and "--init" in said and "--overwrite" in said
    changes = ["stages.fine.train.epochs=3", "stages.fine.train.seed=4"]
    assert "another value" in call("--stage", "fine", "--resume", *changes)
