"""Fitting a recipe to a training time, which is shared among the stages in proportion to their original times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

from kidneyseg.cohort.folds import fold_cases
from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, Stage, Train
from kidneyseg.training import distributed
from kidneyseg.training.loop import Loop
from kidneyseg.training.mixup import draw_share
from kidneyseg.training.train_stage import build_loop

STEPS, SECONDS = 3, 5.0  # minimum number of timed steps, and minimum time of all of them
BATCHES = 8  # maximum number of timed validation batches
CLOSE = 0.05  # the length of an epoch is not changed by less than this fraction


@dataclass(frozen=True)
class StageTiming:
    """Training times of a stage on this machine.

    Attributes:
        steps: steps per epoch.
        step: seconds for one step.
        validation: seconds for one validation.
        once: seconds to compile step and validation.
    """

    steps: int
    step: float
    validation: float
    once: float

    def seconds(self, train: Train) -> float:
        """Return the seconds of the whole training, without compilation."""
        return train.epochs * self.steps * self.step + math.ceil(train.epochs / train.validate_every) * self.validation


def measure(recipe: Recipe, stage: Stage, work: Path, fold: int, device: str = "auto") -> StageTiming:
    """Measure a few training steps and validation batches of ``stage`` on its prepared data; the weights are discarded.

    Args:
        recipe: the recipe.
        stage: a stage of the recipe.
        work: folder that ``kidneyseg prepare`` filled.
        fold: number of the fold.
        device: "auto", "CPU", "GPU" or "Ascend".

    Raises:
        InputError: as :func:`kidneyseg.training.train_stage.train_stage`.
    """
    chosen, ranks = distributed.start(device)
    loop = build_loop(recipe, stage, work, work, fold_cases(work, fold), chosen, ranks)
    loop.step.start_epoch(0)
    first, step = _timed(_steps(loop))
    compiled = _seconds(partial(_validate, loop, 1))
    some = min(BATCHES, loop.val.steps)
    batch = _seconds(partial(_validate, loop, some)) / some
    return StageTiming(
        loop.train.steps, step, batch * loop.val.steps, max(0.0, first - step) + max(0.0, compiled - batch)
    )


def fit_epochs(recipe: Recipe, paces: dict[str, StageTiming], minutes: float) -> Recipe:
    """Change the numbers of epochs of ``recipe`` so that all stages together take ``minutes``, including compilation.

    Epochs are whole numbers; the remaining time is used by changing the samples of an epoch
    (``train.sampler.per_epoch``). The warm-up keeps its fraction of the steps. An exponential schedule and the decay of
    side outputs reach the same final values. There are not more validations than before, and only one at the end if
    they would take more than half of the time.

    Args:
        recipe: the recipe.
        paces: stage name -> times.
        minutes: training time of all stages together.

    Raises:
        InputError: the time is too short for one epoch of one step, with its validation, in every stage.
    """
    own = {stage.name: paces[stage.name].seconds(stage.train) for stage in recipe.stages}
    once = sum(pace.once for pace in paces.values())
    share = (60 * minutes - once) / sum(own.values())
    least = once + sum((pace.step + pace.validation) * sum(own.values()) / own[name] for name, pace in paces.items())
    if any(share * own[name] < pace.step + pace.validation for name, pace in paces.items()):
        raise InputError(
            "--minutes",
            expected=f"about {math.ceil(least / 60)} or more for recipe {recipe.name!r} on this machine",
            found=f"{minutes:g}",
            remedy="Give more time, or a smaller recipe",
        )
    stages = tuple(_fit_stage(stage, paces[stage.name], share * own[stage.name]) for stage in recipe.stages)
    return recipe.model_copy(update={"stages": stages})


def _fit_stage(stage: Stage, pace: StageTiming, seconds: float) -> Stage:
    train = _fit_train(stage.train, pace, seconds)
    side = stage.loss.side
    every = max(1, round(side.every * train.epochs / stage.train.epochs))
    loss = stage.loss.model_copy(update={"side": side.model_copy(update={"every": every})})
    return stage.model_copy(update={"train": train, "loss": loss if side.decay < 1 else stage.loss})


def _fit_train(train: Train, pace: StageTiming, seconds: float) -> Train:
    epoch = pace.steps * pace.step + pace.validation / train.validate_every
    epochs = max(1, round(seconds / epoch))
    every = math.ceil(epochs / math.ceil(train.epochs / train.validate_every))
    if math.ceil(epochs / every) * pace.validation > seconds / 2:
        every = epochs  # most of the time is for training
    steps = (seconds - math.ceil(epochs / every) * pace.validation) / (epochs * pace.step)
    steps = pace.steps if abs(steps / pace.steps - 1) < CLOSE else max(1, math.floor(steps))
    shorter = min(1.0, epochs * steps / (train.epochs * pace.steps))
    schedule = {"warmup": round(train.schedule.warmup * shorter)}
    if train.schedule.kind == "exponential":
        schedule["factor"] = train.schedule.factor ** (train.epochs / epochs)
    changes = {"epochs": epochs, "validate_every": every, "schedule": train.schedule.model_copy(update=schedule)}
    if steps != pace.steps:
        changes["sampler"] = train.sampler.model_copy(update={"per_epoch": steps * train.batch_size})
    return train.model_copy(update=changes)


def _steps(loop: Loop) -> Callable[[], None]:
    """Return a function that runs the next step of the first epoch; after its end it starts again."""
    batches = chain.from_iterable(loop.train.epoch(0) for _ in count())
    spec, alpha = loop.spec, loop.spec.augment.mixup

    def take() -> None:
        image, target, _ = next(batches)
        loop.step(image, target, spec.schedule.start, draw_share(alpha, spec.seed, 0, 0) if alpha else None)

    return take


def _timed(act: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of the first call, which compiles, and the mean seconds of later calls."""
    first = _seconds(act)
    later: list[float] = []
    while len(later) < STEPS or sum(later) < SECONDS:
        later.append(_seconds(act))
    return first, sum(later) / len(later)


def _validate(loop: Loop, batches: int) -> None:
    loop.validator(islice(loop.val.epoch(0), batches))


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
