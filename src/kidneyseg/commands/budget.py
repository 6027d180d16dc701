"""Fit a recipe to a training time: set its epochs so that all stages together take that many minutes on this machine.

Measures a few steps and validation batches of every stage on the prepared data, after compilation; their weights are
discarded. The time is shared among the stages in proportion to the time of their original epochs. Writes the new
recipe.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kidneyseg.commands.options import add_device, add_recipe, count_from_0, positive, recipe_from
from kidneyseg.recipe import Stage, save_recipe
from kidneyseg.system.files import require_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: kidneyseg budget -c mplab_small --work work --minutes 60 -o hour.yaml"
    add_recipe(parser)
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder that `kidneyseg prepare` filled"
    )
    parser.add_argument(
        "--fold", type=count_from_0, default=0, metavar="K", help="fold whose cases are used (default: 0)"
    )
    parser.add_argument(
        "--minutes", type=positive, required=True, metavar="M", help="training time of all stages together"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="recipe to write (YAML)")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    recipe = recipe_from(args)
    require_writable(args.out)
    from kidneyseg.training.time_budget import StageTiming, fit_epochs, measure  # imports MindSpore

    paces: dict[str, StageTiming] = {
        stage.name: measure(recipe, stage, args.work, args.fold, args.device) for stage in recipe.stages
    }
    fitted = fit_epochs(recipe, paces, args.minutes)
    for before, after in zip(recipe.stages, fitted.stages):
        pace = paces[before.name]
        print(
            f"{before.name}: {pace.step:.3f} s a step, {pace.validation:.1f} s a validation, {pace.once:.0f} s to "
            f"compile: {after.train.epochs} epochs of {_steps(after, pace.steps)} steps "
            f"(in the given recipe: {before.train.epochs} of {pace.steps})",
            flush=True,
        )
    save_recipe(fitted, args.out)
    print(f"written: {args.out}")
    return 0


def _steps(stage: Stage, unchanged: int) -> int:
    per_epoch = stage.train.sampler.per_epoch
    return per_epoch // stage.train.batch_size if per_epoch else unchanged
