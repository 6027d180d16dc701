"""The learning rate as a pure function of the step, so that a checkpoint need not contain its state."""

from __future__ import annotations

import math

from kidneyseg.recipe import Schedule


def learning_rate(step: int, per_epoch: int, epochs: int, spec: Schedule) -> float:
    """Compute the learning rate of one step: a linear warm-up, then the schedule ``spec.kind``.

    The warm-up with half a cosine is from the CCF BDCI 2022 third-prize solution (MPLab).

    Args:
        step: 0 for the first step of training, ``per_epoch * epochs - 1`` for the last. If the warm-up is longer than
            the training, the training ends during the warm-up.
        per_epoch: steps in one epoch.
        epochs: number of epochs.
        spec: the schedule.

    Returns:
        ``spec.start`` at step 0, ``spec.peak`` at step ``spec.warmup``. After that, cosine: decreases to ``spec.end``
        at the last step; exponential: multiplied by ``spec.factor`` after every ``per_epoch`` steps, but not below
        ``spec.end``; constant: stays at ``spec.peak``.

    Raises:
        ValueError: ``step`` is outside the training.
    """
    total = per_epoch * epochs
    if not 0 <= step < total:
        raise ValueError(f"step {step} is not one of the {total} steps of training")
    if step < spec.warmup:
        return spec.start + (spec.peak - spec.start) * step / spec.warmup
    if spec.kind == "constant":
        return spec.peak
    if spec.kind == "exponential":
        return max(spec.end, spec.peak * spec.factor ** ((step - spec.warmup) // per_epoch))
    falling = total - 1 - spec.warmup
    progress = (step - spec.warmup) / falling if falling else 1.0
    return spec.end + (spec.peak - spec.end) * (1 + math.cos(math.pi * progress)) / 2
