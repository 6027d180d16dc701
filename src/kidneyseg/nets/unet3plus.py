"""UNet 3+: Huang et al., "UNet 3+: a full-scale connected UNet for medical image segmentation", ICASSP 2020."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, ConvNormAct, Upsample, check_size, conv, double_conv, max_pool


def rescale(levels: int) -> nn.Cell:
    """Build the cell that moves 2-D features ``levels`` levels down (> 0, max pooling) or up (< 0, bilinear)."""
    if levels == 0:
        return nn.Identity()
    return max_pool(2, 2**levels) if levels > 0 else Upsample(2, 2**-levels)


class FullScaleNode(nn.Cell):
    """Decoder node of one level.

    The features of every level are resampled to this level's size, reduced to ``width`` channels, concatenated and
    fused to depth x ``width`` channels.

    Args:
        level: level of the node; 0 is the full resolution.
        channels: channels of the features, one entry per level.
    """

    any_layout = True

    def __init__(self, level: int, channels: list[int], width: int, norm: str | None) -> None:
        super().__init__()
        depth = len(channels)
        self.rescale = nn.CellList([rescale(level - source) for source in range(depth)])
        self.reduce = nn.CellList([ConvNormAct(2, source, width, norm=norm) for source in channels])
        self.concat = Concat()
        self.fuse = ConvNormAct(2, depth * width, depth * width, norm=norm)

    def construct(self, features: tuple[ms.Tensor, ...]) -> ms.Tensor:
        scales = [self.reduce[source](self.rescale[source](features[source])) for source in range(len(features))]
        return self.fuse(self.concat(tuple(scales)))


class UNet3Plus(nn.Cell):
    """UNet 3+: (N, in_channels, y, x) -> logits (N, classes, y, x); lengths must be multiples of 2^(depth - 1).

    The inputs of a decoder node are the encoder's features of its own and all finer levels and the decoder's features
    of all coarser levels. The paper has width 64 and depth 5, so nodes have 5 x 64 = 320 channels. Its
    classification-guided module is left out.

    Args:
        deep_supervision: every level has a head. In training the logits of all levels are returned as a tuple, each
            up-sampled to the input's size, level 0 first; otherwise only those of level 0.
    """

    any_layout = True

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 64,
        depth: int = 5,
        norm: str | None = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.depth = depth
        out = [width * 2**level for level in range(depth)]
        fused = [depth * width] * (depth - 1) + [out[-1]]  # the deepest encoder level is also the deepest decoder level
        self.encoder = nn.CellList(
            [double_conv(2, before, after, after, norm) for before, after in zip([in_channels] + out, out)]
        )
        self.pool = max_pool(2)
        self.decoder = nn.CellList(
            [FullScaleNode(level, out[: level + 1] + fused[level + 1 :], width, norm) for level in range(depth - 1)]
        )
        supervised = depth if deep_supervision else 1
        self.heads = nn.CellList(
            [nn.SequentialCell(conv(2, fused[level], classes), rescale(-level)) for level in range(supervised)]
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor | tuple[ms.Tensor, ...]:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        features: tuple[ms.Tensor, ...] = (self.encoder[0](x),)
        for level in range(1, self.depth):
            features = features + (self.encoder[level](self.pool(features[level - 1])),)
        for level in range(self.depth - 2, -1, -1):
            # The decoder's features replace the encoder's of this level, which no finer level uses.
            features = features[:level] + (self.decoder[level](features),) + features[level + 1 :]
        if not self.training or len(self.heads) == 1:
            return self.heads[0](features[0])
        return tuple([self.heads[level](features[level]) for level in range(self.depth)])
