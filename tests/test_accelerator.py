"""The accelerator's path, from training to export, where there is no accelerator: see support/accelerator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, save_scan

from kidneyseg.volume.nifti import read_mask

ROOT = Path(__file__).parents[1]
SHAPE, SPACING = (24, 48, 48), (3.0, 3.0, 3.0)
RECIPE = """
name: tiny
stages:
  - name: coarse
    sampling: {spacing: [6, 6, 6], patch: [8, 16, 16], stride: [8, 8, 8]}
    targets: [[1, 2]]
    network: {name: unet3d, width: 4, depth: 2}
    loss: {name: dice_ce}
    train: {epochs: 2, batch_size: 2, precision: float16, schedule: {warmup: 4}, sampler: {per_epoch: 12}}
  - name: fine
    region: {of: coarse}
    sampling: {size: [32, 32]}
    targets: [[1], [2]]
    network: {name: unet3plus, width: 4, depth: 3}
    loss: {name: hybrid_dice, regions: [[1, 2], [2]]}
    train: {epochs: 2, batch_size: 2, precision: float16, schedule: {warmup: 4}, sampler: {per_epoch: 12}}
"""


def run(target, cwd, *command):
    """Run a command in a process that takes its CPU for ``target``."""
    path = os.pathsep.join([str(ROOT / "tests/support/accelerator"), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path, "PRETEND_DEVICE": target, "KIDNEYSEG_CACHE": str(cwd / "cache")}
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kidneyseg(target, cwd, *words):
    return run(target, cwd, sys.executable, "-m", "kidneyseg", *words)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set of five cases, prepared."""
    folder = tmp_path_factory.mktemp("accelerator")
    (folder / "tiny.yaml").write_text(RECIPE)
    for number in range(5):
        labels = make_labels(
            SHAPE, [((12, 26, 13 + number), (7, 7, 6)), ((12, 26, 36), (7, 7, 6))], [((12, 26, 13), (3, 3, 3))]
        )
        noise = np.random.default_rng(number).integers(-9, 10, SHAPE, np.int16)
        case = folder / "data" / f"case_{number:05d}"
        save_scan(case / "imaging.nii.gz", make_hu(labels) + noise, SPACING)
        save_scan(case / "segmentation.nii.gz", labels, SPACING)
    kidneyseg("Ascend", folder, "prepare", "-c", "tiny.yaml", "--data", "data", "--work", "work", "--folds", "2")
    return folder


@pytest.fixture(scope="module")
def trained(place):
    """The same with both stages of fold 0 trained by one process: the default of the launchers."""
    said = kidneyseg("Ascend", place, "train", "-c", "tiny.yaml", "--work", "work", "--stage", "all", "--fold", "0")
    assert said.count("best mean Dice") == 2, said
    return place


def test_the_run_is_one_of_the_accelerator(trained):
    runs = json.loads((trained / "work/fold0/run.json").read_text())
    assert [runs[stage][0]["device"] for stage in ("coarse", "fine")] == ["Ascend", "Ascend"]


@pytest.mark.parametrize("target", ["Ascend", "GPU"])
def test_a_run_resumes(trained, target):
    words = ["-c", "tiny.yaml", "--work", "work", "--stage", "all", "--fold", "1", "--resume"]
    kidneyseg(target, trained, "train", *words)
    assert (trained / "work/fold1/fine/best.ckpt").is_file()


def test_folds_are_scored_and_scans_predicted(trained):
    kidneyseg("Ascend", trained, "eval", "--work", "work", "--fold", "0")
    assert json.loads((trained / "work/fold0/scores.json").read_text())["cases"]
    words = ["-i", "data/case_00000/imaging.nii.gz", "-o", "masks", "--json", "masks.json"]
    kidneyseg("Ascend", trained, "predict", "-m", "work/fold0", "--device", "Ascend", *words)
    assert read_mask(trained / "masks/case_00000.nii.gz").array.shape == SHAPE


def test_an_ensemble_predicts(trained):
    words = ["-i", "data/case_00001/imaging.nii.gz", "-o", "together", "--disagreement"]
    kidneyseg("Ascend", trained, "predict", "-m", "work/fold0", "work/fold0", "--device", "Ascend", *words)
    assert (trained / "together/case_00001_disagreement.nii.gz").is_file()


def test_recipes_are_compared(place):
    words = ["-c", "tiny.yaml", "--data", "data", "--work", "contest", "--folds", "0", "--device", "Ascend"]
    assert "tiny" in kidneyseg("Ascend", place, "compare", *words)


def test_two_ranks_train_both_stages(trained):
    script = str(ROOT / "scripts/run_distribute_train.sh")
    run("Ascend", trained, "bash", script, "Ascend", "2", "work", "tiny.yaml", "all", "1", "--overwrite")
    sessions = json.loads((trained / "work/fold1/run.json").read_text())
    assert all(sessions[stage][-1]["ranks"] == 2 for stage in ("coarse", "fine"))


def test_no_kernels_for_cpus_were_at_work(trained):
    """After the tests above: they would have been compiled into the cache at their first use."""
    assert not list((trained / "cache").glob("kernels*"))


@pytest.mark.parametrize("kind", ["mindir", "onnx"])
def test_models_are_exported(trained, kind):
    kidneyseg("Ascend", trained, "export", "-m", "work/fold0", "--format", kind, "-o", f"exported_{kind}")
    graphs = {path.name for path in (trained / f"exported_{kind}").glob(f"*.{kind}")}
    assert {f"coarse.dynamic.{kind}", f"fine.dynamic.{kind}"} <= graphs
