"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from kidneyseg.recipe import Schedule


def learning_rate(step: int, total: int, spec: Schedule) -> float:
    """Learning rate of one step: linear warm-up, then half a cosine (CCF BDCI 2022 third-prize solution, MPLab).

    Args:
        step: 0 for the first step of training, ``total - 1`` for the last.
        total: steps in the whole training. When warm-up is longer than that, training ends on its slope.

    Returns:
        ``spec.start`` at step 0, ``spec.peak`` at step ``spec.warmup``, ``spec.end`` at the last step.

    Raises:
        ValueError: ``step`` is not in 0 .. ``total - 1``.
    """
    if not 0 <= step < total:
        raise ValueError(f"step {step} is not one of the {total} steps of training")
    if step < spec.warmup:
        return spec.start + (spec.peak - spec.start) * step / spec.warmup
    falling = total - 1 - spec.warmup
    progress = (step - spec.warmup) / falling if falling else 1.0
    return spec.end + (spec.peak - spec.end) * (1 + math.cos(math.pi * progress)) / 2
