"""Run all steps once on synthetic CTs. Every step is a kidneyseg command, which is printed before it runs.

Phantom cohort -> check -> prepare -> train both stages -> fold scores -> predict one scan -> MindIR -> report page.
After an interruption, the same command with the same --work continues.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from kidneyseg import cli
from kidneyseg.cohort.folds import load_splits
from kidneyseg.commands.options import recipe_from
from kidneyseg.commands.prepare import FOLDS
from kidneyseg.errors import InputError
from kidneyseg.report.tables import read_scores
from kidneyseg.system.files import require_folder

FLOOR = {"kidney": 0.90, "tumour": 0.60}  # Dice that the demo's recipe reaches on its held-out phantoms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: kidneyseg demo --work demo"
    parser.add_argument("--work", type=Path, default=Path("demo"), help="folder for all outputs (default: demo)")
    parser.add_argument("-c", "--recipe", default="demo", help="recipe to run (default: demo, sized for two CPU cores)")
    parser.add_argument("--cases", type=int, default=20, help="phantom CTs to make (default: 20, a fifth held out)")
    parser.add_argument(
        "--device", choices=["auto", "CPU", "GPU", "Ascend"], default="auto", help="device to compute on"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="recipe keys to change")


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    work, fold = args.work, args.work / "fold0"
    data = work / "data"
    _check(args)
    recipe = ["-c", args.recipe, *args.overrides]
    device = ["--device", args.device]
    for argv in (
        ["simulate", "--phantom", str(args.cases), str(data)],
        ["cohort", "check", str(data)],
        ["cohort", "fingerprint", str(data)],
        ["prepare", *recipe, "--data", str(data), "--work", str(work)],
        ["train", *recipe, "--work", str(work), "--stage", "all", "--fold", "0", "--resume", *device],
        ["eval", *recipe, "--work", str(work), "--fold", "0", *device],
        ["export", "-m", str(fold), "--format", "mindir", "-o", str(work / "mindir")],
        ["report", "--work", str(work), "--fold", "0"],
    ):
        status = _step(argv)
        if status:
            return status
    scan = data / load_splits(work / "splits.json")["folds"][0]["val"][0] / "imaging.nii.gz"
    status = _step(
        [
            "predict",
            "-m",
            str(fold),
            "-i",
            str(scan),
            "-o",
            str(work / "predicted"),
            "--overlay",
            "--overwrite",
            *device,
        ]
    )
    return status or _summary(work, fold, time.perf_counter() - started)


def _check(args: argparse.Namespace) -> None:
    """Raise InputError for bad options that would stop a later step."""
    if args.cases < FOLDS:
        raise InputError(
            "--cases",
            expected=f"{FOLDS} or more, one for each fold",
            found=str(args.cases),
            remedy="Make more phantoms",
        )
    require_folder(args.work)
    recipe_from(args)
    from kidneyseg import device  # MindSpore takes seconds to import

    device.use(args.device)


def _step(argv: list[str]) -> int:
    print(f"\n$ kidneyseg {shlex.join(argv)}", flush=True)
    return cli.main(argv)


def _summary(work: Path, fold: Path, seconds: float) -> int:
    """Print all output paths and compare the scores with those expected; return 1 if one is too low, else 0."""
    mean = read_scores(fold / "scores.json").mean
    print(f"\nDone in {seconds / 60:.1f} minutes.")
    for what, where in (
        ("phantom CTs", work / "data"),
        ("trained model", fold),
        ("fold scores", fold / "scores.md"),
        ("validation masks", fold / "predictions"),
        ("predicted mask and picture", work / "predicted"),
        ("MindIR", work / "mindir"),
        ("report page", fold / "report.html"),
    ):
        print(f"  {what:<28}{where}")
    print()
    print((fold / "scores.md").read_text())
    missed = [f"{name} {mean[name]:.3f} < {floor}" for name, floor in FLOOR.items() if not mean[name] >= floor]
    print(
        "Held-out Dice below what this recipe should reach: " + ", ".join(missed)
        if missed
        else "Held-out Dice: " + ", ".join(f"{name} {mean[name]:.3f}" for name in FLOOR)
    )
    return 1 if missed else 0
