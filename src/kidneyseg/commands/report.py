"""Make one HTML page of a trained fold: scores, training curves, and pictures of the worst, middle and best case.

Reads the results of `kidneyseg train` and `kidneyseg eval` in WORK/fold<K>/ and writes WORK/fold<K>/report.html, one
file with all pictures inside. Does not need MindSpore.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kidneyseg.commands.options import count_from_0
from kidneyseg.metrics.summary import FoldScores
from kidneyseg.model_folder.folder import RECIPE
from kidneyseg.model_folder.run_record import read_sessions
from kidneyseg.recipe import Recipe, load_recipe
from kidneyseg.system.privacy import without_user

Figures = list[tuple[str, Path]]  # (caption, PNG)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: kidneyseg report --work work --fold 0"
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder of `kidneyseg train` and `kidneyseg eval`"
    )
    parser.add_argument("--fold", type=count_from_0, default=0, metavar="K", help="fold, from 0 (default: 0)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder, if it was moved after `prepare`")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="page to write (default: WORK/fold<K>/report.html)"
    )


def run(args: argparse.Namespace) -> int:
    from kidneyseg.report.html import write_report
    from kidneyseg.report.tables import read_scores

    folder = args.work / f"fold{args.fold}"
    scores = {f"Fold {args.fold}: whole cascade on raw CT": read_scores(folder / "scores.json")}
    recipe = load_recipe(folder / RECIPE)
    if (folder / "scores_oracle.json").exists():
        scores["Regions from the true masks (oracle)"] = read_scores(folder / "scores_oracle.json")
    facts = _facts(folder, recipe.description)
    page = args.out or folder / "report.html"
    with tempfile.TemporaryDirectory() as pictures:
        write_report(
            page,
            title=f"{recipe.name}, fold {args.fold}",
            scores=scores,
            figures=_charts(folder, recipe, scores, Path(pictures)) + _cases(args, recipe, scores, Path(pictures)),
            facts=facts,
            command=without_user(f"kidneyseg report --work {args.work} --fold {args.fold}"),
        )
    print(f"written: {page}")
    return 0


def _charts(folder: Path, recipe: Recipe, scores: dict[str, FoldScores], pictures: Path) -> Figures:
    """Draw box plots of the scores and the training curves of all stages that were trained in this folder."""
    from kidneyseg.report.plots import boxplot, curves  # Matplotlib takes a second to import

    short = dict(zip(("cascade", "oracle"), scores.values()))
    figures = [("Dice of every held-out case", boxplot(short, pictures / "scores.png"))]
    logs = {stage.name: folder / stage.name / "log.jsonl" for stage in recipe.stages}
    logs = {name: log for name, log in logs.items() if log.exists()}
    return figures + ([("Training", curves(logs, pictures / "curves.png"))] if logs else [])


def _cases(args: argparse.Namespace, recipe: Recipe, scores: dict[str, FoldScores], pictures: Path) -> Figures:
    """Draw the validation cases with the lowest, middle and highest composite Dice."""
    from kidneyseg.report.overlay import overlay
    from kidneyseg.training_data.prepared_case import locate_cases
    from kidneyseg.volume.nifti import read_image, read_mask

    cascade = next(iter(scores.values()))
    ranked = sorted(cascade.cases, key=lambda case: case["composite"])
    chosen = {"Worst": ranked[0], "Middle": ranked[len(ranked) // 2], "Best": ranked[-1]}
    cases = locate_cases(args.work, [str(score["case"]) for score in chosen.values()], args.data)
    figures = []
    for (rank, score), case in zip(chosen.items(), cases):
        scan = read_image(case.image)
        prediction = args.work / f"fold{args.fold}" / "predictions" / f"{case.name}.nii.gz"
        truth = read_mask(case.true_mask_path(), recipe.merge)
        masks = {"prediction": read_mask(prediction).array, "truth": truth.array}
        picture = overlay(scan.array, masks, scan.spacing, pictures / f"{rank}.png", title=case.name)
        dice = ", ".join(f"{key} {score[key]:.3f}" for key in ("kidney", "tumour"))
        figures.append((f"{rank} case, {case.name}: {dice}", picture))
    return figures


def _facts(folder: Path, description: str) -> dict[str, object]:
    """List how the fold was trained, from the last session of each stage in ``run.json``."""
    facts: dict[str, object] = {"recipe": description}
    for stage, sessions in read_sessions(folder).items():
        last = sessions[-1]
        noted: Mapping[str, object] = last  # more than a session must have
        keys = ("started", "device", "ranks", "precision", "seed")
        facts[f"{stage}: run"] = ", ".join(f"{key} {noted[key]}" for key in keys if key in noted)
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
        facts["git revision"] = last["git"] or "not in git"
    return facts
