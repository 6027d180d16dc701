"""A recipe cut to a given training time: each stage gets the share of it that its own epochs would take."""

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

STEPS, SECONDS = 3, 5.0  # steps that are timed: so many at least, for so long
BATCHES = 8  # of validation that are timed
CLOSE = 0.05  # an epoch whose length would change by less stays as it is


@dataclass(frozen=True)
class StageTiming:
    """How long a stage's training takes here.

    Attributes:
        steps: of an epoch.
        step, validation: seconds for one step, and for one validation.
        once: seconds to compile both.
    """

    steps: int
    step: float
    validation: float
    once: float

    def seconds(self, train: Train) -> float:
        """Of the whole training, compilation aside."""
        return train.epochs * self.steps * self.step + math.ceil(train.epochs / train.validate_every) * self.validation


def measure(recipe: Recipe, stage: Stage, work: Path, fold: int, device: str = "auto") -> StageTiming:
    """Take a few training steps and validation batches of ``stage`` on its prepared data; nothing is kept.

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
    """``recipe`` with other numbers of epochs, so that its stages take ``minutes`` together, compilation included.

    What is left of a whole number of epochs changes the samples of an epoch (``train.sampler.per_epoch``). Warm-up
    keeps its share of the steps, an exponential schedule and the decay of side outputs reach what they would have
    reached, and there are no more validations than before: one, at the end, if they would take over half of the time.

    Args:
        paces: of every stage, by name.

    Raises:
        InputError: not even one epoch of one step, with its validation, fits in.
    """
    own = {stage.name: paces[stage.name].seconds(stage.train) for stage in recipe.stages}
    once = sum(pace.once for pace in paces.values())
    share = (60 * minutes - once) / sum(own.values())
    least = once + sum((pace.step + pace.validation) * sum(own.values()) / own[name] for name, pace in paces.items())
    if any(share * own[name] < pace.step + pace.validation for name, pace in paces.items()):
        raise InputError(
            "--minutes",
            expected=f"about {math.ceil(least / 60)} or more for recipe {recipe.name!r} here",
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
    """Takes the next step of the first epoch at every call; when the epoch is over it begins again."""
    batches = chain.from_iterable(loop.train.epoch(0) for _ in count())
    spec, alpha = loop.spec, loop.spec.augment.mixup

    def take() -> None:
        image, target, _ = next(batches)
        loop.step(image, target, spec.schedule.start, draw_share(alpha, spec.seed, 0, 0) if alpha else None)

    return take


def _timed(act: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and the mean of later ones."""
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
