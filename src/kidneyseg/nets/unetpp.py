"""UNet++: Zhou et al., "UNet++: redesigning skip connections to exploit multiscale features", IEEE TMI 2020."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, check_size, conv, double_conv, max_pool, up_conv


class UNetPP(nn.Cell):
    """UNet++: (N, in_channels, y, x) -> logits (N, classes, y, x); lengths must be multiples of 2^(depth - 1).

    Nodes are X(level, column). Column 0 is the encoder. The input of every other node are all nodes before it on its
    level, concatenated with the up-convolved node X(level + 1, column - 1). The paper has width 32, depth 5 and no
    normalisation (``norm=None``).

    Args:
        deep_supervision: every full-resolution node X(0, 1...) has a head. In training the logits of all of them are
            returned as a tuple, the deepest column first; otherwise only those of the deepest column (the paper's "fast
            mode", unpruned).
    """

    any_layout = True

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 32,
        depth: int = 5,
        norm: str | None = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.depth = depth
        out = [width * 2**level for level in range(depth)]
        self.encoder = nn.CellList(
            [double_conv(2, before, after, after, norm) for before, after in zip([in_channels] + out, out)]
        )
        self.pool = max_pool(2)
        self.concat = Concat()
        # up[j][i] and nodes[j][i] compute X(i, j + 1).
        self.up = nn.CellList(
            [
                nn.CellList([up_conv(2, out[level + 1], out[level]) for level in range(depth - column)])
                for column in range(1, depth)
            ]
        )
        self.nodes = nn.CellList(
            [
                nn.CellList(
                    [
                        double_conv(2, (column + 1) * out[level], out[level], out[level], norm)
                        for level in range(depth - column)
                    ]
                )
                for column in range(1, depth)
            ]
        )
        self.heads = nn.CellList(
            [conv(2, width, classes, kernel=1) for _ in range(depth - 1 if deep_supervision else 1)]
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor | tuple[ms.Tensor, ...]:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        column = [self.encoder[0](x)]
        for level in range(1, self.depth):
            column.append(self.encoder[level](self.pool(column[level - 1])))
        dense: list[tuple[ms.Tensor, ...]] = [(features,) for features in column]  # per level, all nodes so far
        for step in range(self.depth - 1):
            levels = range(self.depth - 1 - step)
            risen = [self.up[step][level](dense[level + 1][step]) for level in levels]
            column = [self.nodes[step][level](self.concat(dense[level] + (risen[level],))) for level in levels]
            dense = [dense[level] + (column[level],) for level in levels]
        logits = self.heads[0](dense[0][self.depth - 1])
        if not self.training or len(self.heads) == 1:
            return logits
        side = [self.heads[back](dense[0][self.depth - 1 - back]) for back in range(1, self.depth - 1)]
        return tuple([logits] + side)
