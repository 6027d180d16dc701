"""Volumes -> MindRecord: the training samples of every stage of a recipe, and the folds.

Writes WORK/recipe.yaml, WORK/datasets.yaml, WORK/splits.json and WORK/prepared/<case>/. Cases that are done are
skipped, so a run that was interrupted, or whose data has grown, is completed by the same command. A splits.json written
by hand stays as it is. Several data sets share a work folder: their cases are called DATASET.CASE, every data set is
drawn from equally often in training, and no patient is on both sides of a fold.
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
    patient: case_[0-9]+      # finds the patient in a case's name; default: every case is one
  - name: btcv
    folder: btcv
    merge: {2: 1}             # its left kidney, 2, is kidney, too
    covers: {1: [1, 2, 3]}    # what is drawn as 1 may be kidney, tumour or cyst: the losses take it so
    weight: 0.5               # drawn half as often; 0: never trained or validated on, only scored by eval
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
        help="processes, fewer at a time for large scans, to stay below 6 GiB (default: one per CPU, at most 8)",
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
    if not keep:  # a wrong number of folds is said now, not after hours of work
        make_splits({case.name: 0.0 for case in cases}, number, seed, patients=patients)
    summary = prepare(recipe, cases, args.work, workers=args.workers)
    save_datasets(datasets, args.work)
    if not keep:
        volumes = tumour_volumes(cases, recipe.merge, workers=args.workers)
        origins = {case.name: case.dataset_name for case in cases}
        save_splits(make_splits(volumes, number, seed, patients=patients, datasets=origins), path)
    save_recipe(recipe, args.work / RECIPE)
    print(_told(summary, args.work))
    if before and not keep:
        print(f"folds: dealt anew, {number} of {len(cases)} cases with seed {seed}")
    return 0


def _stays(splits: dict, cases: list[Case], args: argparse.Namespace) -> bool:
    """Whether splits.json stays: it names these cases, and nothing else is asked for.

    Raises:
        InputError: it should not, but models have been trained on it, or it was written by hand and neither --folds
            nor --seed asks for others.
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
            found=f"folds written by hand, of others (they differ in {', '.join(others[:5])})",
            remedy="Correct the file, or give --folds and --seed to have it replaced",
        )
    return False


def _first_given(*numbers: int | None) -> int:
    return next(number for number in numbers if number is not None)


def _told(summary: Summary, work: Path) -> str:
    made = [
        f"{len(names)} {what}"
        for what, names in (
            ("prepared", summary.prepared),
            ("made again", summary.rebuilt),
            ("already there", summary.skipped),
        )
        if names
    ]
    samples = ", ".join(f"{stage} {count}" for stage, count in summary.samples.items())
    return (
        f"cases: {', '.join(made)}; samples: {samples}; "
        f"{summary.bytes / 2**20:.0f} MiB in {work / 'prepared'}; {summary.seconds:.1f} s"
    )
