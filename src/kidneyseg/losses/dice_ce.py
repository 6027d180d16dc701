"""Dice + cross-entropy, the loss of the coarse stage."""
from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.losses.cross_entropy import CrossEntropy
from kidneyseg.losses.dice import SoftDice


class DiceCE(nn.Cell):
    """(1 - mean Dice of the regions) + cross-entropy. For `regions` and `batch` see `SoftDice`.

    (logits (N, C, *S) float, target (N, *S) int32) -> float32 scalar, at least 0.
    """

    def __init__(self, regions: tuple[tuple[int, ...], ...] | None = None, batch: bool = True) -> None:
        super().__init__()
        self.dice = SoftDice(regions, batch)
        self.cross_entropy = CrossEntropy()

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        return 1 - self.dice(logits, target).mean() + self.cross_entropy(logits, target)
