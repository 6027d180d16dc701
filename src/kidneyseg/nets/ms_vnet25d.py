"""The 2.5-D multi-scale V-Net that segments tumours in the KiTS19 entry with 3-D ResUNet kidneys, 2019."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.attention import AttentionGate, SqueezeExcite
from kidneyseg.nets.layers.blocks import Concat, ConvNormAct, check_size, conv, make_act, up_conv
from kidneyseg.nets.layers.norm import make_norm
from kidneyseg.nets.layers.residual import ResidualStage
from kidneyseg.nets.vnet3d import CONVOLUTIONS

HYBRID = (2, 3, 5)  # dilations that together leave no gaps (Wang et al., WACV 2018)


class MultiScaleVNet25D(nn.Cell):
    """Multi-scale 2.5-D V-Net: a stack of slices (N, slices, y, x) -> logits of its middle slice (N, classes, y, x).

    Lengths must be multiples of 2^(depth - 1). The V-Net of Milletari 2016 in two dimensions, with the slices as
    channels, and the paper's four changes:

    - multi-scale input: every level except the first also gets the stack, down-sampled to its size;
    - squeeze and excitation after every encoder level;
    - an attention gate on every skip, with the decoder's next coarser level as signal;
    - hybrid dilated convolution: the three convolutions of the deepest level have dilations 2, 3 and 5.

    The paper does not specify everything. Chosen here are: V-Net's width 16, depth 5, 5 x 5 kernels and 1, 2, 3, 3, 3
    convolutions per level; the stack is down-sampled by 2 x 2 average pooling, passed through a 3 x 3 convolution of
    ``width`` channels and concatenated with the features before the level's convolutions; dilated kernels are 3 x 3, as
    in Wang's paper; batch norm; the shortcut of the first level is a 1 x 1 convolution, because V-Net's repetition of
    the input is possible only for some numbers of slices.
    """

    any_layout = True

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, depth: int = 5, norm: str | None = "batch"
    ) -> None:
        super().__init__()
        self.depth = depth
        out = [width * 2**level for level in range(depth)]
        self.project = ConvNormAct(2, in_channels, width, kernel=1, norm=norm, act=None)
        self.shrink = nn.AvgPool2d(2, 2)
        self.see = nn.CellList([ConvNormAct(2, in_channels, width, norm=norm, act="prelu") for _ in out[1:]])
        self.down = nn.CellList(
            [
                ConvNormAct(2, before, after, kernel=2, stride=2, norm=norm, act="prelu")
                for before, after in zip(out, out[1:])
            ]
        )
        self.concat = Concat()
        seen = [in_channels] + [channels + width for channels in out[1:]]
        self.encoder = nn.CellList(
            [stage(seen[level], out[level], level, norm) for level in range(depth - 1)]
            + [ResidualStage(2, seen[-1:] + out[-1:] * len(HYBRID), 3, norm, "prelu", dilations=HYBRID)]
        )
        self.squeeze = nn.CellList([SqueezeExcite(2, channels) for channels in out])
        # Up-sampled features are concatenated with a skip of the same width, so decoder stages are twice as wide.
        below = [2 * channels for channels in out[1:-1]] + out[-1:]
        self.gates = nn.CellList([AttentionGate(2, skip, deep) for skip, deep in zip(out, below)])
        self.up = nn.CellList(
            [
                nn.SequentialCell(
                    up_conv(2, deep, skip, bias=norm is None), make_norm(norm, skip), make_act("prelu", skip)
                )
                for skip, deep in zip(out, below)
            ]
        )
        self.decoder = nn.CellList([stage(2 * out[level], 2 * out[level], level, norm) for level in range(depth - 1)])
        self.head = conv(2, 2 * width, classes, kernel=1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        image = x
        x = self.squeeze[0](self.encoder[0](x, self.project(x)))
        skips = [x]
        for level in range(1, self.depth):
            image = self.shrink(image)
            x = self.down[level - 1](x)
            x = self.squeeze[level](self.encoder[level](self.concat((x, self.see[level - 1](image))), x))
            skips.append(x)
        for level in range(self.depth - 2, -1, -1):
            x = self.concat((self.gates[level](skips[level], x), self.up[level](x)))
            x = self.decoder[level](x, x)
        return self.head(x)


def stage(in_ch: int, out_ch: int, level: int, norm: str | None) -> ResidualStage:
    """Build V-Net's stage of a level, with 5 x 5 kernels."""
    convolutions = min(level + 1, CONVOLUTIONS)
    return ResidualStage(2, [in_ch] + [out_ch] * convolutions, kernel=5, norm=norm, act="prelu")
