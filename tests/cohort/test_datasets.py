from __future__ import annotations

import numpy as np
import pytest
import yaml
from cascade_doubles import save_scan

from kidneyseg.cohort.case import DataSet
from kidneyseg.cohort.datasets import dataset_cases, read_datasets, save_datasets, work_datasets
from kidneyseg.errors import InputError
from kidneyseg.recipe import parse_recipe
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.prepare import prepare
from kidneyseg.training_data.prepared_case import PreparedCase, case_folder, locate_cases
from kidneyseg.training_data.training_batches import TrainingBatches
from kidneyseg.volume.nifti import read_mask

RECIPE = parse_recipe(
    {
        "name": "tiny",
        "merge": {3: 1},
        "stages": [
            {
                "name": "coarse",
                "sampling": {"spacing": [4, 3, 3], "patch": [8, 16, 16], "stride": [8, 12, 12]},
                "targets": [[1, 2]],
                "network": {"name": "unet3d"},
                "loss": {"name": "dice_ce"},
            },
            {
                "name": "fine",
                "region": {"of": "coarse", "gap": 4, "margin": 1},
                "sampling": {"size": [32, 32]},
                "targets": [[1], [2]],
                "network": {"name": "unet2d"},
                "loss": {"name": "dice_ce"},
                "train": {"sampler": {"per_epoch": 400}},
            },
        ],
    }
)


def write_case(folder, depth=12, tumour=2):
    hu = np.full((depth, 40, 44), -50, np.int16)
    label = np.zeros(hu.shape, np.uint8)
    label[: depth - depth // 4, 20:34, 8:18] = 1
    label[: depth // 2 + 1, 24:30, 10:14] = tumour
    hu[label > 0] = 150
    save_scan(folder / "imaging.nii.gz", hu, (3, 1.5, 1.5))
    save_scan(folder / "segmentation.nii.gz", label, (3, 1.5, 1.5))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three data sets: whole kidneys only, single slices, and volumes of two of the slices' patients."""
    root = tmp_path_factory.mktemp("datasets")
    for number in range(2):
        write_case(root / "whole" / f"p{number}", tumour=1)
    for number in range(4):
        write_case(root / "slices" / f"case_{number}_mid", depth=1, tumour=2 if number % 2 else 3)
        write_case(root / "slices" / f"case_{number}_s50", depth=1)
    for number in range(2):
        write_case(root / "volumes" / f"case_{number}")
    (root / "datasets.yaml").write_text(
        yaml.safe_dump(
            [
                {"name": "whole", "folder": "whole", "covers": {1: [1, 2, 3]}},
                {"name": "slices", "folder": "slices", "patient": "case_[0-9]+", "source": "kits"},
                {"name": "volumes", "folder": "volumes", "source": "kits", "weight": 2},
            ]
        )
    )
    return root


@pytest.fixture(scope="module")
def work(root, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    datasets = read_datasets([root / "datasets.yaml"])
    save_datasets(datasets, work)
    prepare(RECIPE, dataset_cases(datasets), work, workers=1)
    return work


def test_names_and_patients(root):
    cases = {case.name: case.patient for case in dataset_cases(read_datasets([root / "datasets.yaml"]))}
    assert cases["whole.p0"] == "whole:p0"
    assert cases["slices.case_1_mid"] == cases["slices.case_1_s50"] == cases["volumes.case_1"] == "kits:case_1"


def test_a_lone_folder_keeps_its_names_and_several_are_named_after_themselves(root):
    assert [case.name for case in dataset_cases(read_datasets([root / "volumes"]))] == ["case_0", "case_1"]
    both = dataset_cases(read_datasets([root / "volumes", root / "whole"]))
    assert [case.name for case in both] == ["volumes.case_0", "volumes.case_1", "whole.p0", "whole.p1"]


def test_what_a_work_folder_remembers(root, work):
    assert list(work_datasets(work)) == ["whole", "slices", "volumes"]
    assert work_datasets(work)["whole"].covers == {1: (1, 2, 3)}
    [case] = locate_cases(work, ["whole.p0"])
    assert case.uncertain(RECIPE.merge) == {1: (1, 2)} and case.patient == "whole:p0"
    assert locate_cases(work, ["whole.p0"], root / "datasets.yaml")[0].image == case.image


def test_labels_are_read_as_data_set_and_recipe_say():
    one = DataSet(folder="x", merge={4: 1, 5: 3}, covers={1: [1, 2, 3], 2: [2]})
    assert one.reading({3: 1}) == {3: 1, 4: 1, 5: 1}
    assert one.uncertain({3: 1}) == {1: (1, 2)}
    assert one.uncertain({}) == {1: (1, 2, 3)}


def test_the_masks_of_a_data_set_without_tumour_labels_leave_the_class_open(work):
    fine = RECIPE.stage("fine")
    made = Batches(work, fine, ["whole.p0"], batch_size=4)
    [code] = made.uncertain
    assert made.uncertain[code] == (1, 2)
    assert set(np.unique(np.concatenate([target for _, target, _ in made.epoch(0)]))) == {0, code}
    coarse = Batches(work, RECIPE.stage("coarse"), ["whole.p0"], batch_size=4)
    assert coarse.uncertain == {}
    assert set(np.unique(np.concatenate([target for _, target, _ in coarse.epoch(0)]))) == {0, 1}


def test_single_slices_teach_stages_of_slices_alone(work):
    made = PreparedCase.read(case_folder(work, "slices.case_0_mid"))
    assert made.stages["coarse"].foreground == [] and made.stages["fine"].foreground == [True]


def test_data_sets_are_drawn_by_weight_and_not_by_size(work):
    names = [folder.name for folder in sorted((work / "prepared").iterdir()) if folder.is_dir()]
    drawn = TrainingBatches(work, RECIPE.stage("fine"), names, seed=0, batch_size=4).epoch(0)
    origins = [case.split(".")[0] for _, _, cases in drawn for case in cases]
    counts = {name: origins.count(name) for name in ("whole", "slices", "volumes")}
    assert abs(counts["whole"] - 100) <= 3 and abs(counts["slices"] - 100) <= 3 and abs(counts["volumes"] - 200) <= 3


def test_a_data_set_of_weight_0_neither_trains_nor_validates(root, work, tmp_path):
    datasets = [
        one.model_copy(update={"weight": 0.0}) if one.name == "whole" else one
        for one in read_datasets([root / "datasets.yaml"])
    ]
    before = (work / "datasets.yaml").read_text()
    save_datasets(datasets, work)
    try:
        names = ["whole.p0", "volumes.case_0"]
        for made in (
            Batches(work, RECIPE.stage("fine"), names, batch_size=4),
            TrainingBatches(work, RECIPE.stage("fine"), names, seed=0, batch_size=4),
        ):
            assert {case for case, _ in made.rows} == {"volumes.case_0"}
    finally:
        (work / "datasets.yaml").write_text(before)


def test_a_case_is_made_again_when_its_labels_are_read_otherwise(root, work):
    cases = [case for case in dataset_cases(read_datasets([root / "datasets.yaml"])) if case.name == "whole.p1"]
    assert prepare(RECIPE, cases, work, workers=1).skipped == ["whole.p1"]
    other = dataset_cases([cases[0].dataset.model_copy(update={"covers": {}})])[1:]
    assert prepare(RECIPE, other, work, workers=1).rebuilt == ["whole.p1"]
    assert prepare(RECIPE, cases, work, workers=1).rebuilt == ["whole.p1"]


@pytest.mark.parametrize(
    "text, found",
    [
        ("[]", "empty list"),
        ("name: a", "valid list"),
        ("- {name: a}", "folder"),
        ("- {name: a, folder: a, wieght: 2}", "wieght"),
        ("- {name: a, folder: a, patient: '('}", "regular expression"),
        ("- {name: 'a b', folder: a}", "pattern"),
        ("- {name: a, folder: [", "flow"),
        ("- {name: a, folder: a}\n- {name: a, folder: b}", "'a', 'a'"),
    ],
)
def test_a_list_of_data_sets_that_is_none(tmp_path, text, found):
    path = tmp_path / "datasets.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=found):
        read_datasets([path])


def test_folders_of_one_name_need_a_list(root, tmp_path):
    (tmp_path / "whole").mkdir()
    with pytest.raises(InputError, match="YAML"):
        read_datasets([root / "whole", tmp_path / "whole"])


def test_a_pattern_that_finds_no_patient(root):
    with pytest.raises(InputError, match="patient"):
        dataset_cases([DataSet(name="whole", folder=root / "whole", patient="case_[0-9]+")])


def test_masks_are_scored_as_their_data_set_reads_them(root):
    [case, _] = dataset_cases([DataSet(name="volumes", folder=root / "volumes", merge={2: 1})])
    assert set(np.unique(read_mask(case.label, case.reading({})).array)) == {0, 1}
