"""Train one stage of a recipe, or all, on one fold of the prepared data.

Writes WORK/fold<K>/<stage>/{best.ckpt, last.ckpt, log.jsonl, tensorboard/}, and recipe.yaml and run.json beside them.
Killed at any moment and called again with --resume, it ends with exactly the weights it would have had. With --resume
and a greater `train.epochs`, a run goes on beyond its end if its schedule is constant or exponential. A cosine schedule
depends on the number of epochs: --init and --overwrite begin a new one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kidneyseg.cohort.folds import fold_cases
from kidneyseg.commands.options import add_device, add_recipe, count_from_0, recipe_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg train -c mplab --work work --stage all --fold 0
  kidneyseg train -c mplab stages.coarse.train.epochs=2 --work work --stage coarse --fold 0 --device CPU
  kidneyseg train -c mplab --work work --stage fine --fold 0 --resume
  kidneyseg train -c mplab_small --work mine --init model_zoo/mplab-small     fine-tune on one's own cases
  bash scripts/run_distribute_train.sh Ascend 8 work mplab all 0     eight devices; batch_size is per device"""
    add_recipe(parser)
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder that `kidneyseg prepare` filled"
    )
    parser.add_argument(
        "--stage", default="all", metavar="NAME", help="stage to train (default: all, one after another)"
    )
    parser.add_argument(
        "--fold", type=count_from_0, default=0, metavar="K", help="fold held out for validation, from 0 (default: 0)"
    )
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="go on from last.ckpt where there is one")
    earlier.add_argument(
        "--overwrite",
        action="store_true",
        help="train anew, forgetting an earlier run of the stage and the fold's scores",
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="MODEL",
        help="model folder whose weights a new run starts from, to fine-tune (default: random weights)",
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    recipe = recipe_from(args)
    names = [stage.name for stage in recipe.stages] if args.stage == "all" else [recipe.stage(args.stage).name]
    fold_cases(args.work, args.fold)  # says at once what is missing
    from kidneyseg.nets.layers.sum_over_ranks import own_rank  # imports MindSpore, as does the next
    from kidneyseg.training.train_stage import train_stage

    for name in names:
        done = train_stage(
            recipe,
            name,
            args.work,
            args.fold,
            resume=args.resume,
            overwrite=args.overwrite,
            init=args.init,
            device=args.device,
        )
        if own_rank() == 0:
            measure = recipe.stage(name).train.best
            print(
                f"{name}: best mean {measure.capitalize()} {done[f'best_{measure}']:.4f} in epoch "
                f"{done['best_epoch'] + 1} of {done['epochs']}: {done['checkpoint']}",
                flush=True,
            )
    return 0
