"""Mixup: a batch blended with itself in reverse order.

Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018. As in the authors' code, the loss is blended
instead of the labels, so that it may be any loss.
"""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import ops

MIXUP = 1  # tells this random stream from those of order and augmentation, which the same seed and epoch begin


def draw_share(alpha: float, seed: int, epoch: int, step: int) -> float:
    """The share from Beta(alpha, alpha), in [0, 1], of the batch in its own order; the same on every rank."""
    return float(np.random.default_rng([seed, epoch, step, MIXUP]).beta(alpha, alpha))


def blended_loss(network: Callable, loss: Callable, image: ms.Tensor, target: ms.Tensor, share: ms.Tensor) -> ms.Tensor:
    """share * loss(logits, target) + (1 - share) * loss(logits, target reversed), logits being those of the blend.

    Args:
        image: (N, channels, \\*S) float32.
        target: (N, \\*S) int32.
        share: scalar in [0, 1] of the batch in its own order.
    """
    logits = network(share * image + (1 - share) * ops.flip(image, (0,)))
    return share * loss(logits, target) + (1 - share) * loss(logits, ops.flip(target, (0,)))
