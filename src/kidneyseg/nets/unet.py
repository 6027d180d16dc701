"""The U-Net, base of the 2-D and the 3-D U-Net, which differ only in dimensions and channels."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, check_size, max_pool


class UNet(nn.Cell):
    """U-Net: an encoder with max pooling between its levels and a decoder with up-convolutions.

    (N, in_channels, *S) -> logits (N, classes, *S); every length of S must be a multiple of 2^(levels - 1).

    Args:
        dims: number of spatial axes.
        encoder: one cell per level, the full resolution first.
        up: ``up[k]`` up-samples the features of level k + 1 to the size of level k.
        decoder: input of ``decoder[k]`` are the encoder's features of level k concatenated with the up-sampled ones.
        head: features of level 0 -> logits.
        gates: ``gates[k]`` weights the encoder's features of level k by the decoder's features of level k + 1, before
            these are up-sampled; None: no gates.
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
