"""Compare recipes on the same folds of the same cases: prepare, train and score each, and write one table.

Writes WORK/splits.json, WORK/<recipe>/ (the results of `kidneyseg prepare`, `train` and `predict`) and
WORK/comparison.{md,csv,json,png}. Every step runs in its own process; the table has the peak memory of that process.
The same command continues an interrupted comparison: a fold is scored again only if its model has changed. If a recipe
fails, the others continue; the table reports the failure, and the exit status is 1. Ensembles of the recipes, which
average their probabilities, get their own rows. So do ensembles in which some recipes only help to locate the kidneys.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.folds import load_splits, make_splits, save_splits, split_names, tumour_volumes
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.commands.options import add_device, count_from_0, labelled_cases, named_recipe, positive
from kidneyseg.commands.prepare import FOLDS, SEED
from kidneyseg.errors import InputError
from kidneyseg.evaluation import Candidate, CandidateResult, Contest, EnsembleCandidate, RecipeCandidate, ensemble_name
from kidneyseg.evaluation.command_process import ChildFailed
from kidneyseg.recipe import Recipe, common_merge
from kidneyseg.report.comparison import SCORES, format_comparison, write_comparison
from kidneyseg.system.files import require_folder
from kidneyseg.system.worker_pool import default_workers
from kidneyseg.training_data.prepare import check_names

FINDER = "@"  # prefix of a recipe that takes part only in the localisation of an ensemble


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg compare -c mplab_small my_recipe.yaml --data kits19/data --work compared --folds 0
  kidneyseg compare -c mplab_small my_recipe.yaml --data kits19/data --work hour --folds 0 1 --minutes 60
  kidneyseg compare -c mplab_small my_recipe.yaml --data kits19/data --work hour --folds 0 1 --minutes 60 \\
      --ensemble mplab_small my_recipe --ensemble mplab_small @my_recipe"""
    parser.add_argument(
        "-c",
        "--recipes",
        nargs="+",
        required=True,
        metavar="RECIPE",
        help="recipes: YAML files, or names of those in configs/",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="CTs with masks: a KiTS folder, nnU-Net raw, or pairs of files",
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--folds",
        type=count_from_0,
        nargs="+",
        default=[0],
        metavar="K",
        help=f"folds to train and score, from 0 (default: 0); folds are read from WORK/splits.json, which is written "
        f"with {FOLDS} folds if it is missing",
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        metavar="M",
        help="give every recipe the same training time: its epochs are set so that all its stages "
        "together take M minutes per fold (default: the epochs in the recipes)",
    )
    parser.add_argument(
        "--ensemble",
        nargs="+",
        action="append",
        default=[],
        metavar="NAME",
        help="also score these recipes as one ensemble; a recipe with an @ before its name only takes part in the "
        "localisation of the ROIs (`kidneyseg predict --finders`); may be given several times",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=default_workers(),
        metavar="N",
        help="number of processes for the preparation (default: one per CPU, at most 8)",
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    recipes = _recipes(args.recipes)
    _check_ensembles(args.ensemble, [recipe.name for recipe in recipes])
    cases = labelled_cases(find_cases(args.data), args.data)
    check_names(cases)
    require_folder(args.work)
    merge = common_merge(recipes)
    _check_folds(_splits(args, cases, merge), args.folds)
    contest = Contest(
        args.data,
        args.work,
        {case.name: case for case in cases},
        merge,
        tuple(args.folds),
        args.minutes,
        args.workers,
        args.device,
    )
    outcomes = [_outcome(recipe.name, partial(RecipeCandidate, contest, recipe)) for recipe in recipes]
    outcomes += [_ensemble_outcome(contest, names, recipes, outcomes) for names in args.ensemble]
    rows = [outcome.row for outcome in outcomes]
    paths = write_comparison(rows, contest.facts(), args.work / "comparison")
    paths += _draw(outcomes, args.work / "comparison.png")
    print(f"\n{format_comparison(rows)}\nwritten: {', '.join(map(str, paths))}")
    return 1 if any(row.failed for row in rows) else 0


def _recipes(names: Sequence[str]) -> list[Recipe]:
    recipes = [named_recipe(name) for name in names]
    for number, recipe in enumerate(recipes):
        if recipe.name in {other.name for other in recipes[:number]}:
            raise InputError(
                "--recipes",
                expected="recipes of different names",
                found=f"{recipe.name!r} twice",
                remedy="Change the `name` in one of the files",
            )
    return recipes


def _splits(args: argparse.Namespace, cases: Sequence[Case], merge: dict[int, int]) -> dict:
    """Read WORK/splits.json, or write it if it is missing. Raises InputError if it has other cases."""
    path, names = args.work / "splits.json", sorted(case.name for case in cases)
    if not path.exists():
        make_splits(dict.fromkeys(names, 0.0), FOLDS, SEED)  # reports too few cases before all masks are read
        save_splits(make_splits(tumour_volumes(cases, merge, workers=args.workers), FOLDS, SEED), path)
    splits = load_splits(path)
    if others := sorted(set(split_names(splits)) ^ set(names)):
        raise InputError(
            path,
            expected="folds of the cases of --data",
            found=f"folds of other cases (they differ in {', '.join(others[:5])})",
            remedy="Give the data folder from which these folds were made, or another --work",
        )
    return splits


def _check_folds(splits: dict, folds: Sequence[int]) -> None:
    number = len(splits["folds"])
    wrong = [fold for fold in folds if fold >= number]
    if wrong or len(set(folds)) < len(folds):
        raise InputError(
            "--folds",
            expected=f"folds from 0 to {number - 1}, each at most once",
            found=" ".join(map(str, folds)),
            remedy="Name existing folds",
        )


def _check_ensembles(ensembles: Sequence[Sequence[str]], recipes: Sequence[str]) -> None:
    for names in ensembles:
        plain = [name.removeprefix(FINDER) for name in names]
        if len(plain) < 2 or len(set(plain)) < len(plain) or not set(plain) <= set(recipes) or not _members(names):
            raise InputError(
                "--ensemble",
                expected=f"two or more of {', '.join(recipes)}, not all with {FINDER}",
                found=" ".join(names),
                remedy="Name recipes of -c, each once, by the `name` in their files",
            )


def _outcome(name: str, enter: Callable[[], Candidate]) -> CandidateResult:
    try:
        return enter().outcome()
    except (ChildFailed, InputError) as error:
        print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
        return CandidateResult.failure(name, str(error))


def _ensemble_outcome(
    contest: Contest, names: Sequence[str], recipes: Sequence[Recipe], outcomes: Sequence[CandidateResult]
) -> CandidateResult:
    members, finders = _members(names), [name.removeprefix(FINDER) for name in names if name.startswith(FINDER)]
    ensemble = ensemble_name(members, finders)
    missing = [
        outcome.row.recipe for outcome in outcomes if outcome.row.failed and outcome.row.recipe in (*members, *finders)
    ]
    if missing:
        return CandidateResult.failure(ensemble, f"it needs {', '.join(missing)}")
    by_name = {recipe.name: recipe for recipe in recipes}

    def enter() -> EnsembleCandidate:
        return EnsembleCandidate(
            contest, *([RecipeCandidate(contest, by_name[name]) for name in some] for some in (members, finders))
        )

    return _outcome(ensemble, enter)


def _members(names: Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith(FINDER)]


def _draw(outcomes: Sequence[CandidateResult], path: Path) -> list[Path]:
    """Draw one box per recipe that has scores; the cases of several folds are put together."""
    scores = {outcome.row.recipe: outcome.scores for outcome in outcomes if outcome.scores is not None}
    if not scores:
        return []
    from kidneyseg.report.plots import boxplot  # Matplotlib takes a second to import

    return [boxplot(scores, path, SCORES)]
