"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from kidneyseg.recipe import Schedule


def learning_rate(step: int, per_epoch: int, epochs: int, spec: Schedule) -> float:
    """Learning rate of one step: linear warm-up, then what ``spec.kind`` says.

    The warm-up with half a cosine is that of the CCF BDCI 2022 third-prize solution (MPLab).

    Args:
        step: 0 for the first step of training, ``per_epoch * epochs - 1`` for the last. When warm-up is longer than
            that, training ends on its slope.
        per_epoch: steps in one epoch.

    Returns:
        ``spec.start`` at step 0, ``spec.peak`` at step ``spec.warmup``; from there, cosine: to ``spec.end`` at the last
        step; exponential: times ``spec.factor`` whenever ``per_epoch`` further steps are done, ``spec.end`` at least;
        constant: as it is.

    Raises:
        ValueError: ``step`` is not one of training.
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
