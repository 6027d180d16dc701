"""Mixup: a batch is blended with the same batch in reverse order.

Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018. As in the authors' code, the losses are blended
instead of the labels, so that any loss can be used.
"""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import ops

MIXUP = 1  # separates this random stream from those of order and augmentation, which start from the same seed and epoch


def draw_share(alpha: float, seed: int, epoch: int, step: int) -> float:
    """Draw the weight of the batch in its original order, in 0-1, from Beta(alpha, alpha); the same on every rank."""
    return float(np.random.default_rng([seed, epoch, step, MIXUP]).beta(alpha, alpha))


def blended_loss(network: Callable, loss: Callable, image: ms.Tensor, target: ms.Tensor, share: ms.Tensor) -> ms.Tensor:
    """Compute share * loss(logits, target) + (1 - share) * loss(logits, reversed target) on the blended images.

    Args:
        network: image -> logits.
        loss: (logits, target) -> scalar.
        image: (N, channels, \\*S) float32.
        target: (N, \\*S) int32.
        share: scalar in [0, 1], weight of the batch in its original order.
    """
    logits = network(share * image + (1 - share) * ops.flip(image, (0,)))
    return share * loss(logits, target) + (1 - share) * loss(logits, ops.flip(target, (0,)))
