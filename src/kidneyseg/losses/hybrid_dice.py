"""Hybrid-Dice, the loss of the fine stage in the CCF BDCI 2022 third-prize solution (MPLab).

The authors map "linear Dice to a non-linear range, so that the rate of change is larger when Dice approaches 0 and
smaller when it approaches 1". Their formula was an image that is not available, so the mapping here is an assumption:
log-Dice (Wong et al., "3D segmentation with exponential logarithmic loss for highly unbalanced object sizes", MICCAI
2018), the one known mapping with this property. Another mapping can be used instead.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.dice import SoftDice
from kidneyseg.losses.uncertain import Uncertain

LEAST = 1e-6  # lower limit, because the slope of a root is unbounded at 0, and rounding may give negative values


class LogDice(nn.Cell):
    """Dice in (0, 1] -> (-ln Dice)^gamma in [0, inf), element-wise."""

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        self.gamma = gamma

    def construct(self, dice: ms.Tensor) -> ms.Tensor:
        cost = -ops.log(dice)
        return cost if self.gamma == 1 else ops.pow(ops.maximum(cost, LEAST), self.gamma)


class MappedDice(nn.Cell):
    """Mean over the regions of mapped Dice; Hybrid-Dice adds cross-entropy.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.

    Args:
        regions, batch, uncertain: as for ``SoftDice``.
        mapping: cell from Dice in (0, 1] to a cost of the same shape.
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
