"""Convert volumes to MindRecord: write the training samples of every stage of a recipe, and the folds.

Writes WORK/recipe.yaml, WORK/datasets.yaml, WORK/splits.json and WORK/prepared/<case>/. Finished cases are skipped.
After an interruption, or when cases were added to the data, the same command completes the rest. A splits.json that you
wrote by hand is not changed. Several data sets can share a work folder: their cases are called DATASET.CASE, training
draws equally often from every data set, and no patient is in both the training and the validation cases of a fold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.datasets import dataset_cases, read_datasets, save_datasets
from kidneyseg.cohort.folds import (
    is_dealt,
    load_splits,
    make_splits,
    require_whole_patients,
    save_splits,
    split_names,
    tumour_volumes,
)
from kidneyseg.commands.options import add_recipe, count_from_0, labelled_cases, recipe_from
from kidneyseg.errors import InputError
from kidneyseg.model_folder.folder import RECIPE
from kidneyseg.recipe import save_recipe
from kidneyseg.system.files import require_folder
from kidneyseg.system.worker_pool import default_workers
from kidneyseg.training_data.prepare import Summary, check_names, prepare

FOLDS, SEED = 5, 2022


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg prepare -c mplab --data kits19/data --work work
  kidneyseg prepare -c mplab_small --data my_cases --work work --folds 4 --workers 2
  kidneyseg prepare -c mplab_small --data btcv my_cases --work work
  kidneyseg prepare -c mplab_small --data datasets.yaml --work work

datasets.yaml is a list; only name and folder (relative to the file) are needed:
  - name: kits23
    folder: kits23/dataset
    patient: case_[0-9]+      # regular expression of the patient in a case's name; default: every case is a patient
  - name: btcv
    folder: btcv
    merge: {2: 1}             # read label 2, the left kidney of this data set, as kidney
    covers: {1: [1, 2, 3]}    # a voxel with label 1 may be kidney, tumour or cyst; the losses allow for that
    weight: 0.5               # drawn half as often; 0: neither trained nor validated on, only scored by eval
  - name: simulated
    folder: simkits
    source: kits23            # the same patients as kits23
    patient: case_[0-9]+"""
    add_recipe(parser)
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="DATA",
        help="CTs with masks: a KiTS folder, nnU-Net raw, or pairs of files; several such folders; or "
        "a YAML file that lists data sets",
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="number of cross-validation folds (default: those of WORK/splits.json, or 5)",
    )
    parser.add_argument(
        "--seed", type=count_from_0, metavar="N", help="seed of the folds (default: that of WORK/splits.json, or 2022)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=default_workers(),
        metavar="N",
        help="number of processes; fewer run at a time for large scans, to need less than 6 GiB (default: one per "
        "CPU, at most 8)",
    )


def run(args: argparse.Namespace) -> int:
    recipe = recipe_from(args)
    datasets = read_datasets(args.data)
    cases = labelled_cases(dataset_cases(datasets), " ".join(map(str, args.data)))
    check_names(cases)
    patients = {case.name: case.patient for case in cases}
    require_folder(args.work)
    path = args.work / "splits.json"
    before = load_splits(path) if path.exists() else {}
    keep = bool(before) and _stays(before, cases, args)
    if keep:
        require_whole_patients(before, patients, path)
    number = _first_given(args.folds, len(before["folds"]) if before else None, FOLDS)
    seed = _first_given(args.seed, before.get("seed"), SEED)
    if not keep:  # reports a wrong number of folds now, not after hours of work
        make_splits({case.name: 0.0 for case in cases}, number, seed, patients=patients)
    summary = prepare(recipe, cases, args.work, workers=args.workers)
    save_datasets(datasets, args.work)
    if not keep:
        volumes = tumour_volumes(cases, recipe.merge, workers=args.workers)
        origins = {case.name: case.dataset_name for case in cases}
        save_splits(make_splits(volumes, number, seed, patients=patients, datasets=origins), path)
    save_recipe(recipe, args.work / RECIPE)
    print(_message(summary, args.work))
    if before and not keep:
        print(f"folds: split again, {number} folds of {len(cases)} cases with seed {seed}")
    return 0


def _stays(splits: dict, cases: list[Case], args: argparse.Namespace) -> bool:
    """Tell whether splits.json can be kept: it has exactly these cases and agrees with --folds and --seed.

    Raises:
        InputError: it does not fit, but models have been trained on it, or it was written by hand and neither --folds
            nor --seed was given to replace it.
    """
    path, others = args.work / "splits.json", sorted(set(split_names(splits)) ^ {case.name for case in cases})
    if not others and args.folds in (None, len(splits["folds"])) and args.seed in (None, splits.get("seed")):
        return True
    trained = sorted(folder.name for folder in args.work.glob("fold[0-9]*"))
    if trained:
        raise InputError(
            path,
            expected="the cases of --data, and the --folds and --seed given",
            found=f"other folds, used by {', '.join(trained)}",
            remedy="Give another --work; models trained on the old folds cannot be scored on new ones",
        )
    if args.folds is None and args.seed is None and not is_dealt(splits):
        raise InputError(
            path,
            expected="folds of the cases of --data",
            found=f"folds of other cases, written by hand (they differ in {', '.join(others[:5])})",
            remedy="Correct the file, or give --folds and --seed to have it replaced",
        )
    return False


def _first_given(*numbers: int | None) -> int:
    return next(number for number in numbers if number is not None)


def _message(summary: Summary, work: Path) -> str:
    counts = [
        f"{len(names)} {what}"
        for what, names in (
            ("prepared", summary.prepared),
            ("prepared again", summary.rebuilt),
            ("already prepared", summary.skipped),
        )
        if names
    ]
    samples = ", ".join(f"{stage} {count}" for stage, count in summary.samples.items())
    return (
        f"cases: {', '.join(counts)}; samples: {samples}; "
        f"{summary.bytes / 2**20:.0f} MiB in {work / 'prepared'}; {summary.seconds:.1f} s"
    )
