"""`kidneyseg eval`: folds of a trained recipe, and anybody's masks."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from cascade_doubles import ByIntensity, make_hu, make_labels, make_model, make_recipe, save_scan
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg import cli
from kidneyseg.cohort.case import DataSet
from kidneyseg.cohort.datasets import save_datasets
from kidneyseg.inference.model import Model
from kidneyseg.recipe import save_recipe
from kidneyseg.training_data.prepared_case import PreparedCase, case_folder

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)
NAMES = [f"case_{n:05d}" for n in range(4)]


def labels_of(number):
    kidneys = [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 7 + number))]
    return make_labels(SHAPE, kidneys, [((10, 32, 44), (3, 4, 4 + number))])


@pytest.fixture
def work(tmp_path):
    """Prepared as far as eval looks: case.json, splits.json; the cohort in the KiTS layout, stored z first."""
    folder = tmp_path / "work"
    for number, name in enumerate(NAMES):
        labels = labels_of(number)
        paths = {}
        for key, file, array in (("image", "imaging", make_hu(labels)), ("label", "segmentation", labels)):
            path = tmp_path / "data" / name / f"{file}.nii.gz"
            save_scan(path, array, SPACING, axes=(0, 1, 2), flips=(True, False, True))
            paths[key] = {"path": str(path), "bytes": path.stat().st_size, "modified": path.stat().st_mtime_ns}
        case_folder(folder, name).mkdir(parents=True)
        case = PreparedCase(
            case=name, **paths, shape=list(SHAPE), spacing=list(SPACING), labels=[], settings={"stages": {}}, stages={}
        )
        case.write(case_folder(folder, name))
    folds = [{"train": NAMES[2:], "val": NAMES[:2]}, {"train": NAMES[:2], "val": NAMES[2:]}]
    (folder / "splits.json").write_text(json.dumps({"seed": 1, "folds": folds}))
    return folder


@pytest.fixture
def doubled(monkeypatch):
    """Model.load gives runtimes that know the answer."""
    monkeypatch.setattr(Model, "load", classmethod(lambda cls, *args: make_model(make_recipe())))


def test_real_checkpoints_are_scored_on_their_fold(work, capsys):
    save_tiny_model(work / "fold0")
    assert cli.main(["eval", "--work", str(work), "--fold", "0", "--device", "CPU"]) == 0
    for stem in ("scores", "scores_oracle"):
        data = json.loads((work / "fold0" / f"{stem}.json").read_text())
        assert [case["case"] for case in data["cases"]] == NAMES[:2]
        assert {"kidney", "tumour", "composite"} <= set(data["mean"]) and set(data["mean"]) == set(data["sd"])
        assert all((work / "fold0" / f"{stem}.{suffix}").exists() for suffix in ("csv", "md"))
    masks = sorted(path.name for path in (work / "fold0" / "predictions").iterdir())
    assert masks == [f"{name}.nii.gz" for name in NAMES[:2]]
    out = capsys.readouterr().out
    assert "Fold 0: whole cascade on raw CT" in out and "oracle" in out and NAMES[1] in out
    assert json.loads((work / "fold0" / "run.json").read_text())["eval"][0]["cases"] == NAMES[:2]


def test_overrides_reach_the_model(work, monkeypatch):
    save_tiny_model(work / "fold0")
    seen = []

    def load(cls, folder, device, recipe, runtime, precision):
        seen.append((recipe, runtime, precision))
        return make_model(make_recipe())

    monkeypatch.setattr(Model, "load", classmethod(load))
    assert cli.main(["eval", "--work", str(work), "stages.coarse.inference.overlap=0.75"]) == 0
    assert cli.main(["eval", "--work", str(work), "--runtime", "openvino", "--precision", "bfloat16"]) == 0
    (recipe, *how), (_, *other) = seen
    assert recipe.stage("coarse").inference.overlap == 0.75 and recipe.name == "tiny"
    assert (how, other) == (["mindspore", "auto"], ["openvino", "bfloat16"])


def test_another_model_is_scored_beside_the_folds_own(work, doubled):
    precious = [work / "fold0" / name for name in ("scores.json", "scores_oracle.json", "predictions")]
    precious[2].mkdir(parents=True)
    for file in precious[:2]:
        file.write_text("precious")
    assert cli.main(["eval", "--work", str(work), "-m", str(work.parent / "other"), "--no-oracle"]) == 0
    assert all(file.read_text() == "precious" for file in precious[:2]) and not any(precious[2].iterdir())
    assert len(json.loads((work / "fold0" / "model" / "scores.json").read_text())["cases"]) == 2
    assert (work / "fold0" / "model" / "predictions" / f"{NAMES[0]}.nii.gz").exists()


def test_overrides_of_a_packages_recipe(work, monkeypatch, capsys):
    package, seen = work.parent / "model.zip", []
    save_recipe(tiny_recipe(), work.parent / "recipe.yaml")
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(work.parent / "recipe.yaml", "recipe.yaml")

    def load(cls, folder, device, recipe, *how):
        seen.append(recipe)
        return make_model(make_recipe())

    monkeypatch.setattr(Model, "load", classmethod(load))
    evaluate, change = ["eval", "--work", str(work), "--no-oracle"], "stages.coarse.inference.overlap=0.75"
    assert cli.main([*evaluate, "-m", str(package), change]) == 0
    assert cli.main([*evaluate, change, "-m", str(package)]) == 0
    assert [recipe.stage("coarse").inference.overlap for recipe in seen] == [0.75, 0.75]
    assert cli.main([*evaluate, "-m", str(work / "none.zip"), change]) == 2
    assert "none.zip: expected" in capsys.readouterr().err


def test_all_folds_and_a_cohort_that_moved(work, doubled, capsys):
    moved = work.parent / "moved"
    (work.parent / "data").rename(moved)
    for fold in (0, 1):
        (work / f"fold{fold}").mkdir()
    assert cli.main(["eval", "--work", str(work), "--fold", "all"]) == 2
    assert "--data" in capsys.readouterr().err
    assert cli.main(["eval", "--work", str(work), "--fold", "all", "--data", str(moved)]) == 0
    over = json.loads((work / "scores.json").read_text())
    assert [case["case"] for case in over["cases"]] == ["fold 0", "fold 1"]
    means = [json.loads((work / f"fold{fold}" / "scores.json").read_text())["mean"]["kidney"] for fold in (0, 1)]
    assert over["mean"]["kidney"] == pytest.approx(np.mean(means)) and over["mean"]["kidney"] > 0.95
    assert over["sd"]["kidney"] == pytest.approx(np.std(means))


def test_oracle_rois_rescue_a_blind_coarse_stage(work, monkeypatch, capsys):
    class Blind(ByIntensity):
        def __call__(self, images):
            return np.stack([np.ones_like(images[:, 0]), np.zeros_like(images[:, 0])], axis=1)

    model = make_model(make_recipe())
    model.runtimes["coarse"] = Blind(model.recipe.stage("coarse"))
    monkeypatch.setattr(Model, "load", classmethod(lambda cls, *args: model))
    (work / "fold0").mkdir()
    with pytest.warns(UserWarning, match="no kidney found"):
        assert cli.main(["eval", "--work", str(work)]) == 0
    mean = {
        stem: json.loads((work / "fold0" / f"{stem}.json").read_text())["mean"] for stem in ("scores", "scores_oracle")
    }
    assert mean["scores"]["kidney"] == 0 and mean["scores"]["tumour"] == 0
    assert mean["scores_oracle"]["kidney"] > 0.95 and mean["scores_oracle"]["tumour"] > 0.9
    with pytest.warns(UserWarning):
        assert cli.main(["eval", "--work", str(work), "--no-oracle"]) == 0
    left = sorted(path.name for path in (work / "fold0").glob("scores*"))
    assert left == ["scores.csv", "scores.json", "scores.md"]  # none of an oracle of other masks


def test_anybodys_masks_without_mindspore(tmp_path):
    for number, name in enumerate(NAMES[:3]):
        save_scan(tmp_path / "truth" / name / "segmentation.nii.gz", labels_of(number), SPACING)
    save_scan(tmp_path / "pred" / f"{NAMES[0]}.nii.gz", labels_of(0), SPACING)
    save_scan(tmp_path / "pred" / f"{NAMES[1]}.nii.gz", np.minimum(labels_of(1), 1), SPACING)
    code = (
        "import sys; from kidneyseg import cli; status = cli.main(sys.argv[1:]);"
        "sys.exit(status or ('mindspore' in sys.modules and 99))"
    )
    folders = ["--pred", str(tmp_path / "pred"), "--truth", str(tmp_path / "truth")]
    args = ["eval", *folders, "--out", str(tmp_path / "s" / "scores")]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "s" / "scores.json").read_text())
    by_case = {case["case"]: (case["kidney"], case["tumour"]) for case in data["cases"]}
    assert by_case == {NAMES[0]: (1, 1), NAMES[1]: (1, 0), NAMES[2]: (0, 0)}
    assert data["missing"] == [NAMES[2]] and NAMES[2] in done.stdout


def test_an_ensemble_is_scored_beside_its_models(work, capsys):
    """Its scores are those of its masks, and the fold's own stay as they are."""
    folders = [work / "fold0", work.parent / "other"]
    for folder in folders:
        save_tiny_model(folder)
    (work / "fold0" / "scores.json").write_text("precious")
    models = [str(folder) for folder in folders]
    assert cli.main(["eval", "--work", str(work), "-m", *models, "--device", "CPU", "--no-oracle"]) == 0
    place = work / "fold0" / "ensemble"
    data = json.loads((place / "scores.json").read_text())
    truth, masks = work.parent / "data", place / "predictions"
    assert cli.main(["eval", "--pred", str(masks), "--truth", str(truth), "--out", str(work / "again")]) == 0
    again = {case["case"]: case for case in json.loads((work / "again.json").read_text())["cases"]}
    assert data["cases"] == [again[name] for name in NAMES[:2]]
    assert (work / "fold0" / "scores.json").read_text() == "precious"
    assert json.loads((place / "run.json").read_text())["eval"][0]["model"] == " + ".join(models)
    assert cli.main(["eval", "--work", str(work), "-m", *models, "-c", "demo"]) == 2
    assert cli.main(["eval", "--work", str(work), "-m", *models, "--fold", "all"]) == 2


def test_a_case_that_fails_is_named_and_the_rest_scored(work, doubled, capsys):
    (work / "fold0").mkdir()
    (work.parent / "data" / NAMES[0] / "imaging.nii.gz").write_bytes(b"no gzip")
    assert cli.main(["eval", "--work", str(work), "--json", str(work / "all.json")]) == 2
    error = capsys.readouterr().err
    assert "1 of 2 cases" in error and f"{NAMES[0]}/imaging.nii.gz" in error
    for file in (work / "all.json", work / "fold0" / "scores.json", work / "fold0" / "scores_oracle.json"):
        data = json.loads(file.read_text())
        assert [case["case"] for case in data["cases"]] == [NAMES[1]] and list(data["failed"]) == [NAMES[0]]


def test_pairs_of_other_names_are_shown_and_a_bad_mask_does_not_stop_the_rest(tmp_path, capsys):
    for number in range(2):
        save_scan(tmp_path / "truth" / NAMES[number] / "segmentation.nii.gz", labels_of(number), SPACING)
        mask = labels_of(number)[number:]  # the second is of another shape
        save_scan(tmp_path / "pred" / f"prediction_{number:05d}.nii.gz", mask, SPACING)
    folders = ["--pred", str(tmp_path / "pred"), "--truth", str(tmp_path / "truth")]
    assert cli.main(["eval", *folders, "--out", str(tmp_path / "s")]) == 2
    out, err = capsys.readouterr()
    assert "paired by number:" in out and f"{NAMES[1]}: prediction_00001.nii.gz" in out
    assert "1 of 2 cases" in err and "prediction_00001.nii.gz" in err
    assert json.loads((tmp_path / "s.json").read_text())["mean"]["kidney"] == 1
    assert f"failed, not scored: {NAMES[1]}" in (tmp_path / "s.md").read_text()


def test_each_data_set_is_scored_by_itself(work, doubled, capsys):
    save_datasets([DataSet(name="a", folder=work), DataSet(name="b", folder=work)], work)
    for name, dataset in zip(NAMES, "abab"):
        made = PreparedCase.read(case_folder(work, name))
        replace(made, dataset=dataset).write(case_folder(work, name))
    assert cli.main(["eval", "--work", str(work), "--fold", "all"]) == 0
    said = capsys.readouterr().out
    for stem in ("scores", "scores_oracle"):
        every = json.loads((work / f"{stem}.a.json").read_text())
        assert [case["case"] for case in every["cases"]] == [NAMES[0], NAMES[2]]
        one = json.loads((work / "fold1" / f"{stem}.b.json").read_text())
        assert [case["case"] for case in one["cases"]] == [NAMES[3]]
    for what in ("whole cascade", "regions from the true masks"):
        assert f"a, {what}: mean +/- SD over 2 cases" in said
    assert "pooled: kidney 0." in said
    assert cli.main(["eval", "--work", str(work), "--datasets", "b"]) == 0
    assert [case["case"] for case in json.loads((work / "fold0" / "scores.json").read_text())["cases"]] == [NAMES[1]]
    assert not (work / "fold0" / "scores.a.json").exists()
    assert cli.main(["eval", "--work", str(work), "--datasets", "c"]) == 2
    assert "a, b" in capsys.readouterr().err
