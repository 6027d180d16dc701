"""`kidneyseg benchmark train`: from what `kidneyseg prepare` left to scores, on a tiny cohort."""

import json
from pathlib import Path

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, save_scan
from tiny_model import tiny_recipe

from kidneyseg.benchmark import prediction, training
from kidneyseg.benchmark.nnunet.job import Job, JobCase
from kidneyseg.benchmark.nnunet.plan import Plan
from kidneyseg.cli import main
from kidneyseg.errors import InputError
from kidneyseg.recipe import save_recipe
from kidneyseg.report.tables import read_scores
from kidneyseg.training_data.prepared_case import PreparedCase, case_folder
from kidneyseg.volume.nifti import read_image, read_mask, write_mask

SPACING = (3.0, 1.5, 1.5)
SHAPES = {"a": (20, 48, 60), "b": (20, 48, 60), "c": (22, 48, 56), "flat": (1, 48, 60)}


@pytest.fixture
def work(tmp_path):
    """As far as the command looks: case.json, recipe.yaml with cysts read as kidney, splits.json."""
    folder = tmp_path / "work"
    for name, shape in SHAPES.items():
        labels = make_labels(shape, [((shape[0] // 2, 26, 40), (6, 8, 8)), ((shape[0] // 2, 26, 16), (6, 8, 8))])
        labels[:, 30:33, 40:43][labels[:, 30:33, 40:43] > 0] = 3
        paths = {}
        for key, array in (("image", make_hu(labels % 3)), ("label", labels)):
            path = save_scan(
                tmp_path / "data" / name / f"{key}.nii.gz", array, SPACING, axes=(2, 1, 0), flips=(True, False, True)
            )
            paths[key] = {"path": str(path), "bytes": 0, "modified": 0}
        case_folder(folder, name).mkdir(parents=True)
        PreparedCase(
            case=name, **paths, shape=list(shape), spacing=list(SPACING), labels=[], settings={"stages": {}}, stages={}
        ).write(case_folder(folder, name))
    save_recipe(tiny_recipe().model_copy(update={"merge": {3: 1}}), folder / "recipe.yaml")
    folds = [{"train": ["a", "b", "flat"], "val": ["c"]}, {"train": ["a", "b"], "val": ["flat"]}]
    (folder / "splits.json").write_text(json.dumps({"folds": folds}))
    return folder


def test_command_trains_predicts_and_scores(work, tmp_path, monkeypatch, capsys):
    pytest.importorskip("monai")
    out = tmp_path / "out"
    monkeypatch.setenv("KIDNEYSEG_THREADS", "1")
    assert (
        main(
            [
                "benchmark",
                "train",
                "--work",
                str(work),
                "--fold",
                "0",
                "--minutes",
                "0.03",
                "-o",
                str(out),
                "--width",
                "2",
                "--patch-voxels",
                "8192",
                "--json",
                str(tmp_path / "facts.json"),
            ]
        )
        == 0
    )
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["labels"] == [0, 1] and facts["threads"] == 1 and facts["single_slices"] == ["flat"]
    assert len(facts["losses"]) > 1 and np.isfinite(facts["losses"]).all()
    assert min(facts["part_mib"].values()) > 50 and facts["part_seconds"]["train"] > 0
    assert set(facts["seconds"]) == {"c"} and facts["setting"] in facts["step_seconds"]
    path = out / "fold0/predictions/c.nii.gz"
    found = read_mask(path)
    found.require_on(read_image(tmp_path / "data/c/image.nii.gz"))
    scores = read_scores(out / "fold0/scores.json")
    assert [case["case"] for case in scores.cases] == ["c"] and scores.cases[0]["volume_ml_masses_truth"] == 0
    assert json.loads((out / "fold0/run.json").read_text())["nnunet"][0]["peer"].keys() == {"torch", "monai"}
    import torch

    from kidneyseg.benchmark.nnunet import network as networks

    stored = torch.load(out / "fold0/model.pt")
    network = networks.build(Plan(**stored["plan"]), len(stored["labels"]), stored["width"])
    network.load_state_dict(stored["weights"])
    assert sum(one.numel() for one in network.parameters()) == facts["parameters"]
    assert "single slices: 1" in capsys.readouterr().out


def test_what_the_process_finds_wrong_reaches_the_user_whole(work, tmp_path):
    pytest.importorskip("monai")
    bad = JobCase("bad", str(tmp_path / "none.nii.gz"), "", ())
    with pytest.raises(InputError, match=r"none\.nii\.gz: expected an image file, found no such file. Check the path"):
        training.run(Job((bad,), (bad,), str(tmp_path), 1.0, 2, 4096, False))
    assert not (tmp_path / "model.pt").exists()


def test_data_sets_say_what_is_trained_on_and_how_labels_are_read(work):
    datasets = "- {name: x, folder: data}\n- {name: y, folder: data, weight: 0, merge: {3: 2}}\n"
    (work / "datasets.yaml").write_text(datasets)
    for name, dataset in (("a", "x"), ("b", "y"), ("c", "y")):
        file = case_folder(work, name) / "case.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "dataset": dataset}))
    cases, flat = training.find_volumes(work, 0)
    assert [case.name for case in cases["train"]] == ["a"] and flat == ["flat"]
    job = training.make_job(work, cases, Path("out"), 1.0, 2, 4096, False)
    assert job.train[0].merge == ((3, 1),) and job.val[0].merge == ((3, 2),)
    truth = read_mask(cases["val"][0].label)
    write_mask(work / "found/c.nii.gz", np.where(truth.array == 3, 2, truth.array), truth)
    assert training.score(work, cases["val"], work / "found").mean["tumour"] == 1


@pytest.mark.parametrize(
    "options, said",
    [
        (["--width", "0"], "--width"),
        (["--patch-voxels", "100"], "4096 or more"),
        (["--fold", "1"], "volumes in its part 'val'"),
        (["--fold", "7"], "fold 7"),
        (["-o", "work"], "another folder than --work"),
        (["--work", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_said(options, said, work, monkeypatch, capsys):
    monkeypatch.chdir(work.parent)
    monkeypatch.setattr(prediction, "find_spec", lambda name: object())
    assert main(["benchmark", "train", "--work", "work", "--minutes", "1", "-o", "out", *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (work.parent / "out").exists()


def test_options_of_the_networks_are_refused(work, capsys):
    assert main(["benchmark", "--small", "train", "--work", str(work), "--minutes", "1", "-o", "out"]) == 2
    assert "train after it" in capsys.readouterr().err
