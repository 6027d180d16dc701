"""Cells for means over space and for gates, channels-last, as `cells.py` has the others."""
from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.cpu import operators


class SpatialMean(nn.Cell):
    """In the place of nets.blocks.SpatialMean. A tensor (N, C, 1...) lies the same in either layout."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.spatial_mean()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x)


class Spread(nn.Cell):
    """In the place of nets.blocks.Spread."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.spread()

    def construct(self, x: ms.Tensor, like: ms.Tensor) -> ms.Tensor:
        return self.operator(x, like)


class Scale(nn.Cell):
    """In the place of nets.attention.Scale."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.scale()

    def construct(self, features: ms.Tensor, gate: ms.Tensor) -> ms.Tensor:
        return self.operator(features, gate)
