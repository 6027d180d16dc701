"""The residual U-Net (ResUNet), base of the 3-D and the 2.5-D ResUNet, which differ only in their strides."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, ConvNormAct, Upsample, check_size, conv, up_conv
from kidneyseg.nets.layers.norm import make_norm
from kidneyseg.nets.layers.residual import ResidualBlock, ResidualStage


class ResUNet(nn.Cell):
    """(N, in_channels, z, y, x) -> logits (N, classes, z, y, x), with ``depth`` encoder and ``depth`` decoder layers.

    Each layer has two 3 x 3 x 3 convolutions and a shortcut from its input: in the encoder the down-sampled features of
    the layer before (or the input, projected to ``width`` channels), in the decoder the up-sampled features of the
    layer before. The convolutions of a decoder layer get these concatenated with the encoder's features of the same
    level. The deepest decoder layer follows the deepest encoder layer directly. Down-sampling is done by convolutions
    with kernel = stride, up-sampling by transposed convolutions.

    Args:
        strides: per axis (z, y, x), from one level to the next; lengths of the input must be multiples of
            strides^(depth - 1).
        deep_supervision: every decoder layer has a head. In training the logits of all levels are returned as a tuple,
            each linearly up-sampled to the input's size, level 0 first; otherwise only those of level 0. The strides
            must then be the same along all axes.
    """

    any_layout = True

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        depth: int,
        norm: str | None,
        strides: tuple[int, int, int],
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.factor = tuple([stride ** (depth - 1) for stride in strides])
        out = [width * 2**level for level in range(depth)]
        self.encoder = nn.CellList(
            [
                ResidualBlock(3, [in_channels if level == 0 else out[level]] + [out[level]] * 2, norm)
                for level in range(depth)
            ]
        )
        self.down = nn.CellList(
            [
                ConvNormAct(3, before, after, kernel=strides, stride=strides, norm=norm)
                for before, after in zip(out, out[1:])
            ]
        )
        self.up = nn.CellList(
            [
                nn.SequentialCell(
                    up_conv(3, deep, skip, bias=norm is None, factor=strides), make_norm(norm, skip), nn.ReLU()
                )
                for skip, deep in zip(out, out[1:])
            ]
        )
        self.concat = Concat()
        joined = [2 * channels for channels in out[:-1]] + [out[-1]]
        self.decoder = nn.CellList(
            [
                ResidualStage(3, [before, after, after], kernel=3, norm=norm, act="relu")
                for before, after in zip(joined, out)
            ]
        )
        heads = [conv(3, width, classes, kernel=1)]
        if deep_supervision:
            heads += [
                nn.SequentialCell(conv(3, out[level], classes, kernel=1), Upsample(3, strides[0] ** level))
                for level in range(1, depth)
            ]
        self.heads = nn.CellList(heads)

    def construct(self, x: ms.Tensor) -> ms.Tensor | tuple[ms.Tensor, ...]:
        check_size(x.shape[2:], self.factor)
        skips = [self.encoder[0](x)]
        for level in range(1, self.depth):
            skips.append(self.encoder[level](self.down[level - 1](skips[level - 1])))
        deepest = self.depth - 1
        features = [self.decoder[deepest](skips[deepest], skips[deepest])]  # features of the decoder, deepest first
        for level in range(self.depth - 2, -1, -1):
            risen = self.up[level](features[deepest - level - 1])
            features.append(self.decoder[level](self.concat((skips[level], risen)), risen))
        if not self.training or len(self.heads) == 1:
            return self.heads[0](features[deepest])
        return tuple([self.heads[level](features[deepest - level]) for level in range(self.depth)])
