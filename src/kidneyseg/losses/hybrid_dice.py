"""Hybrid-Dice, the loss of the fine stage in the CCF BDCI 2022 third-prize solution (MPLab).

The authors map "linear Dice to a non-linear range, so that the rate of change is larger when Dice approaches 0 and
smaller when it approaches 1". Their formula was an image that is lost, so the mapping here is an assumption: the one
known mapping with that property, log-Dice (Wong et al., "3D segmentation with exponential logarithmic loss for highly
unbalanced object sizes", MICCAI 2018), is taken, and any other can be given in its place.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.dice import SoftDice
from kidneyseg.losses.uncertain import Uncertain

LEAST = 1e-6  # below it the slope of a root would grow without bound; also keeps rounding from making it negative


class LogDice(nn.Cell):
    """Dice in (0, 1] -> (-ln Dice)^gamma in [0, inf), element by element; gamma = 1 is the plain logarithm."""

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        self.gamma = gamma

    def construct(self, dice: ms.Tensor) -> ms.Tensor:
        cost = -ops.log(dice)
        return cost if self.gamma == 1 else ops.pow(ops.maximum(cost, LEAST), self.gamma)


class MappedDice(nn.Cell):
    """Mean over the regions of mapped Dice; Hybrid-Dice adds cross-entropy. For the other arguments see `SoftDice`.

    Args:
        mapping: cell from Dice in (0, 1] to a cost of the same shape.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.
    """

    def __init__(
        self,
        regions: tuple[tuple[int, ...], ...] | None,
        batch: bool,
        mapping: nn.Cell,
        uncertain: Uncertain | None = None,
    ) -> None:
        super().__init__()
        self.dice = SoftDice(regions, batch, uncertain)
        self.mapping = mapping

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        return self.mapping(self.dice(logits, target)).mean()
