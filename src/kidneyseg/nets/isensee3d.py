"""Isensee et al., "Brain tumor segmentation and radiomics survival prediction: contribution to the BRATS 2017
challenge", MICCAI BrainLes 2017."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, ConvNormAct, NormActConv, Repeat3D, check_size, conv
from kidneyseg.nets.layers.dropout import ChannelDropout

ACT = "leaky_relu"
DROPOUT = 0.3
SEGMENTATION_LEVELS = 3


class ContextModule(nn.Cell):
    """Pre-activation residual block: two 3 x 3 x 3 convolutions with dropout between, (N, channels, *S) -> same."""

    any_layout = True

    def __init__(self, channels: int, norm: str | None) -> None:
        super().__init__()
        self.first = NormActConv(3, channels, channels, norm=norm, act=ACT)
        self.dropout = ChannelDropout(DROPOUT)
        self.second = NormActConv(3, channels, channels, norm=norm, act=ACT)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x + self.second(self.dropout(self.first(x)))


def localisation_module(channels: int, norm: str | None) -> nn.Cell:
    """Build the fusion of 2 x ``channels`` (skip and up-sampled) into ``channels``: 3 x 3 x 3, then 1 x 1 x 1."""
    return nn.SequentialCell(
        ConvNormAct(3, 2 * channels, channels, norm=norm, act=ACT),
        ConvNormAct(3, channels, channels, kernel=1, norm=norm, act=ACT),
    )


class Isensee3D(nn.Cell):
    """The network of Isensee et al.: (N, in_channels, z, y, x) -> logits (N, classes, z, y, x).

    Lengths must be multiples of 2^(depth - 1). The context pathway has residual modules connected by 3 x 3 x 3
    convolutions of stride 2. The localisation pathway up-samples by nearest neighbours and has segmentation layers at
    its three finest levels, whose logits are summed. The paper has width 16, depth 5 and instance norm.

    Where the paper differs from Chen et al., "Using two-stage network to segment kidneys and kidney tumors" (KiTS19),
    this network follows Chen: the first convolution of the localisation module halves the channels, and segmentation
    layers are 3 x 3 x 3. Neither specifies the type of dropout; whole channels are dropped here, see ChannelDropout.
    """

    any_layout = True

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, depth: int = 5, norm: str | None = "instance"
    ) -> None:
        super().__init__()
        self.depth = depth
        out = [width * 2**level for level in range(depth)]
        self.encoder = nn.CellList(
            [
                nn.SequentialCell(
                    ConvNormAct(3, before, after, stride=1 if level == 0 else 2, norm=norm, act=ACT),
                    ContextModule(after, norm),
                )
                for level, (before, after) in enumerate(zip([in_channels] + out, out))
            ]
        )
        self.up = nn.CellList(
            [
                nn.SequentialCell(Repeat3D(), ConvNormAct(3, deep, skip, norm=norm, act=ACT))
                for skip, deep in zip(out, out[1:])
            ]
        )
        self.concat = Concat()
        self.decoder = nn.CellList(
            [ConvNormAct(3, 2 * width, 2 * width, norm=norm, act=ACT)]
            + [localisation_module(channels, norm) for channels in out[1:-1]]
        )
        heads = [conv(3, 2 * width, classes)]
        for level in range(1, min(SEGMENTATION_LEVELS, depth - 1)):
            heads.append(nn.SequentialCell(conv(3, out[level], classes), Repeat3D(2**level)))
        self.heads = nn.CellList(heads)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        skips = []
        for level in range(self.depth):
            x = self.encoder[level](x)
            skips.append(x)
        features = []  # the deepest first
        for level in range(self.depth - 2, -1, -1):
            x = self.decoder[level](self.concat((skips[level], self.up[level](x))))
            features.append(x)
        logits = self.heads[0](features[self.depth - 2])
        for level in range(1, len(self.heads)):
            logits = logits + self.heads[level](features[self.depth - 2 - level])
        return logits
