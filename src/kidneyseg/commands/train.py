"""Train one stage of a recipe, or all, on one fold of the prepared data.

Writes WORK/fold<K>/<stage>/{best.ckpt, last.ckpt, log.jsonl, tensorboard/}, and WORK/fold<K>/{recipe.yaml, run.json}.
A training that was stopped at any moment can be continued with --resume; its final weights are exactly those of a
training without interruption. With --resume and a larger `train.epochs` a finished training is extended if its schedule
is constant or exponential. A cosine schedule depends on the number of epochs: start a new training with --init and
--overwrite.
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
  kidneyseg train -c mplab_small --work mine --init model_zoo/mplab-small     fine-tune on your own cases
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
    earlier.add_argument("--resume", action="store_true", help="continue from last.ckpt if it exists")
    earlier.add_argument(
        "--overwrite",
        action="store_true",
        help="start again and delete the stage's earlier training and the fold's scores",
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="MODEL",
        help="model folder with the initial weights of a new training, for fine-tuning (default: random weights)",
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    recipe = recipe_from(args)
    names = [stage.name for stage in recipe.stages] if args.stage == "all" else [recipe.stage(args.stage).name]
    fold_cases(args.work, args.fold)  # reports missing data before the slow import of MindSpore
    from kidneyseg.nets.layers.sum_over_ranks import own_rank
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
