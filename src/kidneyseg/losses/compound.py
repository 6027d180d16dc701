"""The sum of several losses."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn


class Compound(nn.Cell):
    """The sum of the losses ``parts``: (logits (N, C, *S) float, target (N, *S) int32) -> float32 scalar."""

    def __init__(self, *parts: nn.Cell) -> None:
        super().__init__()
        self.parts = nn.CellList(list(parts))

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        total = self.parts[0](logits, target)
        for part in self.parts[1:]:
            total = total + part(logits, target)
        return total
