"""Score a trained recipe on a fold, or score any masks.

With --work: predicts the fold's validation cases from raw CT with the whole cascade and scores them; then once more
with ROIs from the true masks (oracle), which evaluates the last stage alone. Writes WORK/fold<K>/predictions/ and
WORK/fold<K>/scores.{json,csv,md} (oracle: scores_oracle). Results of another model (-m) are written to
WORK/fold<K>/model/, those of several models, scored as one ensemble, to WORK/fold<K>/ensemble/. With --pred and
--truth: scores existing masks from any source.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from kidneyseg.cohort.case import Case
from kidneyseg.commands.options import add_device, add_runtime, count_from_0, recipe_from
from kidneyseg.errors import InputError
from kidneyseg.export.package import is_package, opened
from kidneyseg.metrics.mask_folder import score_folder
from kidneyseg.metrics.pairing import Pairing
from kidneyseg.metrics.summary import FoldScores, pooled_dice, score_fold
from kidneyseg.model_folder.folder import RECIPE
from kidneyseg.recipe import Recipe, load_recipe
from kidneyseg.recipe.files import split_override
from kidneyseg.report.tables import format_table, mean_and_sd, write_json, write_scores
from kidneyseg.system.files import require_writable
from kidneyseg.system.worker_pool import require_all

if TYPE_CHECKING:
    from kidneyseg.evaluation.held_out import FoldResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg eval --work work --fold 0
  kidneyseg eval -c mplab --work work --fold all --no-oracle
  kidneyseg eval --work work --fold 0 --datasets btcv
  kidneyseg eval -m one/fold0 other/fold0 --work one --fold 0   ensemble; its models must not be trained on these cases
  kidneyseg eval --pred masks --truth kits19/data --out masks/scores"""
    trained = parser.add_argument_group("a trained recipe")
    trained.add_argument("--work", type=Path, metavar="DIR", help="folder of `kidneyseg prepare` and `kidneyseg train`")
    trained.add_argument("--fold", type=_fold, default=0, metavar="K", help="number from 0, or all (default: 0)")
    trained.add_argument(
        "-c",
        "--recipe",
        metavar="RECIPE",
        help="recipe with other inference settings (default: the recipe of the training)",
    )
    trained.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="recipe keys to change, for example stages.coarse.inference.overlap=0.25",
    )
    trained.add_argument(
        "-m",
        "--model",
        type=Path,
        nargs="+",
        metavar="MODEL",
        help="model folder or exported package, or several to score as an ensemble (default: WORK/fold<K>)",
    )
    trained.add_argument("--data", type=Path, metavar="DIR", help="data folder, if it was moved after `prepare`")
    trained.add_argument("--datasets", nargs="+", metavar="NAME", help="score only these data sets (default: all)")
    trained.add_argument("--no-oracle", action="store_true", help="leave out the scores with ROIs from the true masks")
    add_device(parser)
    add_runtime(parser, default="mindspore")
    masks = parser.add_argument_group("existing masks")
    masks.add_argument("--pred", type=Path, metavar="DIR", help="folder of predicted masks")
    masks.add_argument("--truth", type=Path, metavar="DIR", help="folder of true masks, or a data folder")
    masks.add_argument("--out", metavar="STEM", help="also write STEM.json, STEM.csv and STEM.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the scores to FILE: cases, mean, sd")
    masks.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of processes, about 1 GiB each (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    for file in filter(None, (args.json, args.out and f"{args.out}.json")):
        require_writable(file)
    if args.pred and args.truth and not args.work:
        scores, total = _score_masks(args)
    elif args.work and not (args.pred or args.truth):
        scores, total = _score_folds(args)
    else:
        given = [f"--{name}" for name in ("work", "pred", "truth") if getattr(args, name)]
        raise InputError(
            "options of eval",
            expected="--work DIR, or --pred DIR with --truth DIR",
            found=" and ".join(given) or "none",
            remedy="See `kidneyseg eval --help`",
        )
    if args.json:
        print(f"written: {write_json(scores, args.json)}")
    require_all(scores.failed, total)
    return 0


def _score_masks(args: argparse.Namespace) -> tuple[FoldScores, int]:
    """Score the masks of --pred; returns the scores and the number of cases."""
    scores = score_folder(args.pred, args.truth, workers=args.workers, paired=_print_guesses)
    print(format_table(scores), end="")
    _write(scores, args.out)
    return scores, len(scores.cases) + len(scores.failed)


def _print_guesses(pairing: Pairing) -> None:
    """Print the pairs of prediction and true mask if they have different names."""
    if pairing.rule:
        print(f"No names agree; paired {pairing.rule}:")
        for pair in pairing.pairs:
            if pair.prediction:
                print(f"  {pair.case}: {pair.prediction.name}")


def _score_folds(args: argparse.Namespace) -> tuple[FoldScores, int]:
    """Score one fold or all folds; returns the scores of the fold, or the means of all, and the number of cases."""
    from kidneyseg.cohort.folds import fold_cases, load_splits
    from kidneyseg.training_data.prepared_case import locate_cases

    _take_overrides(args)
    made = load_splits(args.work / "splits.json")["folds"]
    folds = list(range(len(made))) if args.fold == "all" else [args.fold]
    if args.model and len(folds) > 1:
        raise InputError(
            f"--model {' '.join(map(str, args.model))}",
            expected="one fold",
            found="--fold all",
            remedy="Name the fold whose cases the model was not trained on",
        )
    cases = {
        fold: _of_datasets(locate_cases(args.work, fold_cases(args.work, fold)["val"], args.data), args)
        for fold in folds
    }
    results = {fold: _score_fold(args, fold, cases[fold]) for fold in folds}
    total = sum(len(of_fold) for of_fold in cases.values())
    of_folds = {fold: _scores_of(result, fold) for fold, result in results.items()}
    if len(folds) == 1:
        return of_folds[folds[0]], total
    every = sum(cases.values(), [])
    _report_datasets([result.scores for result in results.values()], every, args.work / "scores", "whole cascade")
    _report_datasets(
        [result.oracle for result in results.values()],
        every,
        args.work / "scores_oracle",
        "regions from the true masks",
    )
    failed = {name: error for scores in of_folds.values() for name, error in scores.failed.items()}
    over_folds = score_fold(
        [{"case": f"fold {fold}", **scores.mean} for fold, scores in of_folds.items()], failed=failed
    )
    print(f"\nMeans of {len(folds)} folds\n{format_table(over_folds)}", end="")
    _write(over_folds, args.work / "scores")
    return over_folds, total


def _scores_of(result: FoldResult, fold: int) -> FoldScores:
    """Return the scores of the whole cascade, else those of the oracle. Raises InputError if there are none."""
    scores = result.scores or result.oracle
    if scores is None:
        raise InputError(
            f"fold {fold}",
            expected="cases that the whole cascade can segment",
            found="single slices only",
            remedy="Leave out --no-oracle",
        )
    return scores


def _of_datasets(cases: list[Case], args: argparse.Namespace) -> list[Case]:
    """Select the ``cases`` of --datasets; by default all."""
    names = sorted({case.dataset_name for case in cases})
    unknown = sorted(set(args.datasets or ()) - set(names))
    if unknown:
        raise InputError(
            f"--datasets {' '.join(unknown)}",
            expected=f"data sets of {args.work}: {', '.join(names)}",
            found="no case of this data set in the fold",
            remedy="Name one of them",
        )
    return [case for case in cases if not args.datasets or case.dataset_name in args.datasets]


def _score_fold(args: argparse.Namespace, fold: int, cases: list[Case]) -> FoldResult:
    """Predict and score the cases of one fold, print the scores and write all results."""
    from kidneyseg.evaluation.held_out import evaluate_cases
    from kidneyseg.inference.ensemble.ensemble import load_models
    from kidneyseg.model_folder import run_record

    folder = args.work / f"fold{fold}"
    sources = args.model or [folder]
    if args.model:  # keeps the results of the fold's own model
        folder /= "model" if len(sources) == 1 else "ensemble"
    run_record.known_sessions(folder)
    model = load_models(
        sources, args.device, {source: _recipe(args, source) for source in sources}, args.runtime, args.precision
    )
    result = evaluate_cases(model, cases, folder / "predictions", oracle=not args.no_oracle)
    run_record.record(
        folder,
        "eval",
        {
            "model": " + ".join(map(str, sources)),
            "runtime": args.runtime,
            "recipe": model.recipe.model_dump(mode="json"),
            "cases": [case.name for case in cases],
            "seconds": result.seconds,
        },
    )
    for old in [*folder.glob("scores.*"), *folder.glob("scores_oracle.*")]:  # scores of the masks that were replaced
        old.unlink()
    if result.scores:
        mean = sum(result.seconds.values()) / len(result.seconds)
        print(f"\nFold {fold}: whole cascade on raw CT, {mean:.1f} s per case\n{format_table(result.scores)}", end="")
        _write(result.scores, folder / "scores")
        _report_datasets([result.scores], cases, folder / "scores", "whole cascade")
    if result.oracle:
        print(f"\nFold {fold}: oracle, ROIs cut from the true masks\n{format_table(result.oracle)}", end="")
        _write(result.oracle, folder / "scores_oracle")
        _report_datasets([result.oracle], cases, folder / "scores_oracle", "regions from the true masks")
    return result


def _report_datasets(folds: Sequence[FoldScores | None], cases: Sequence[Case], stem: Path, what: str) -> None:
    """Print the mean scores of every named data set in ``folds`` and write its scores to STEM.DATASET.*."""
    datasets = {case.name: case.dataset_name for case in cases}
    scored = [case for scores in folds if scores for case in scores.cases]
    for name in sorted({datasets[str(case["case"])] for case in scored} - {""}):
        part = score_fold([case for case in scored if datasets[str(case["case"])] == name])
        pooled = pooled_dice(part)
        print(
            f"{name}, {what}: {mean_and_sd(part)}; pooled: kidney {pooled['kidney']:.4f}, tumour "
            f"{pooled['tumour']:.4f}; tumour found: {part.mean['volume_ml_tumour_prediction']:.2f} ml a case"
        )
        write_scores(part, f"{stem}.{name}")


def _take_overrides(args: argparse.Namespace) -> None:
    """Move KEY=VALUE words from -m, which takes all words that follow it, to the overrides."""
    words = [model for model in args.model or () if split_override(str(model)) and not model.exists()]
    args.overrides = [*args.overrides, *map(str, words)]
    args.model = [model for model in args.model or () if model not in words]


def _recipe(args: argparse.Namespace, model: Path) -> Recipe | None:
    """Load the recipe that replaces the recipe of ``model``; None if neither -c nor KEY=VALUE is given."""
    if args.recipe and args.model and len(args.model) > 1:
        raise InputError(
            f"--recipe {args.recipe}",
            expected="one model",
            found=f"{len(args.model)}",
            remedy="Leave it out: every model has its own recipe; KEY=VALUE changes them all",
        )
    if args.recipe:
        return recipe_from(args)
    if not args.overrides:
        return None
    with opened(model) if is_package(model) else nullcontext(model) as folder:
        return load_recipe(folder / RECIPE, args.overrides)


def _write(scores: FoldScores, stem: str | Path | None) -> None:
    if stem:
        print("written: " + ", ".join(str(path) for path in write_scores(scores, stem)))


def _fold(text: str) -> int | str:
    return text if text == "all" else count_from_0(text)
