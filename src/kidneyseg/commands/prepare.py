"""Volumes -> MindRecord: the training samples of every stage of a recipe, and the folds.

Writes WORK/recipe.yaml, WORK/splits.json and WORK/prepared/<case>/. Cases that are done are skipped, so a run that was
interrupted, or whose data has grown, is completed by the same command.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kidneyseg.atomic import require_folder
from kidneyseg.commands.common import add_recipe, count_from_0, recipe_from
from kidneyseg.data.cohort import Case, find_cases, require_labels
from kidneyseg.data.folds import load_splits, make_splits, save_splits, tumour_volumes
from kidneyseg.data.prepare import Summary, check_names, prepare
from kidneyseg.errors import InputError
from kidneyseg.pool import default_workers
from kidneyseg.recipe import save_recipe

FOLDS, SEED = 5, 2022


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg prepare -c mplab --data kits19/data --work work
  kidneyseg prepare -c mplab_small --data my_cases --work work --folds 4 --workers 2"""
    add_recipe(parser)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR",
                        help="CTs with masks: a KiTS folder, nnU-Net raw, or pairs of files")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--folds", type=int, metavar="N",
                        help="number of cross-validation folds (default: those of WORK/splits.json, or 5)")
    parser.add_argument("--seed", type=count_from_0, metavar="N",
                        help="seed of the folds (default: that of WORK/splits.json, or 2022)")
    parser.add_argument("--workers", type=int, default=default_workers(), metavar="N",
                        help="processes, fewer at a time for large scans, to stay below 6 GiB "
                             "(default: one per CPU, at most 8)")


def run(args: argparse.Namespace) -> int:
    recipe = recipe_from(args)
    cases = require_labels(find_cases(args.data), args.data)
    check_names(cases)
    require_folder(args.work)
    keep = _keep_splits(cases, args)
    number = FOLDS if args.folds is None else args.folds
    seed = SEED if args.seed is None else args.seed
    if not keep:  # a wrong number of folds is said now, not after hours of work
        make_splits({case.name: 0.0 for case in cases}, number, seed)
    summary = prepare(recipe, cases, args.work, workers=args.workers)
    if not keep:
        volumes = tumour_volumes(cases, recipe.merge, workers=args.workers)
        save_splits(make_splits(volumes, number, seed), args.work / "splits.json")
    save_recipe(recipe, args.work / "recipe.yaml")
    print(_told(summary, args.work))
    return 0


def _keep_splits(cases: list[Case], args: argparse.Namespace) -> bool:
    """Whether splits.json stays: it holds these cases, and nothing else is asked for.

    Raises:
        InputError: it says something else, and models have been trained on it.
    """
    path = args.work / "splits.json"
    if not path.exists():
        return False
    splits = load_splits(path)
    same = (
        sorted(name for fold in splits["folds"] for name in fold["val"]) == sorted(case.name for case in cases)
        and args.folds in (None, len(splits["folds"])) and args.seed in (None, splits["seed"])
    )
    trained = sorted(folder.name for folder in args.work.glob("fold[0-9]*"))
    if not same and trained:
        raise InputError(
            path, expected="the cases of --data, and the --folds and --seed given",
            found=f"other folds, used by {', '.join(trained)}",
            remedy="Give another --work; models trained on the old folds cannot be scored on new ones",
        )
    return same


def _told(summary: Summary, work: Path) -> str:
    made = [f"{len(names)} {what}" for what, names in (
        ("prepared", summary.prepared), ("made again", summary.rebuilt), ("already there", summary.skipped)) if names]
    samples = ", ".join(f"{stage} {count}" for stage, count in summary.samples.items())
    return (f"cases: {', '.join(made)}; samples: {samples}; "
            f"{summary.bytes / 2**20:.0f} MiB in {work / 'prepared'}; {summary.seconds:.1f} s")
