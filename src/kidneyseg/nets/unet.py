"""The U that the 2-D and the 3-D U-Net share; they differ in dimensions and channels only."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, check_size, max_pool


class UNet(nn.Cell):
    """An encoder whose levels are joined by max pooling and a decoder that climbs back with up-convolutions.

    Args:
        dims: number of spatial axes.
        encoder: one cell per level, the full resolution first.
        up: `up[k]` brings the features of level k + 1 to the size of level k.
        decoder: `decoder[k]` takes the encoder's features of level k joined with those that came up.
        head: features of level 0 to logits.
        gates: `gates[k]` weighs the encoder's features of level k by those of level k + 1 that are about to come up;
            without gates they are joined as they are.

    (N, in_channels, *S) -> logits (N, classes, *S); every length of S must be a multiple of 2^(levels - 1).
    """

    any_layout = True

    def __init__(
        self,
        dims: int,
        encoder: list[nn.Cell],
        up: list[nn.Cell],
        decoder: list[nn.Cell],
        head: nn.Cell,
        gates: list[nn.Cell] | None = None,
    ) -> None:
        super().__init__()
        self.depth = len(encoder)
        self.encoder = nn.CellList(encoder)
        self.pool = max_pool(dims)
        self.up = nn.CellList(up)
        self.gates = nn.CellList(gates or [])
        self.concat = Concat()
        self.decoder = nn.CellList(decoder)
        self.head = head

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        skips = []
        for level in range(self.depth - 1):
            x = self.encoder[level](x)
            skips.append(x)
            x = self.pool(x)
        x = self.encoder[self.depth - 1](x)
        for level in range(self.depth - 2, -1, -1):
            skip = self.gates[level](skips[level], x) if len(self.gates) > 0 else skips[level]
            x = self.decoder[level](self.concat((skip, self.up[level](x))))
        return self.head(x)
