"""DeepLab V3+: Chen et al., "Encoder-decoder with atrous separable convolution for semantic image segmentation",
ECCV 2018."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.errors import InputError
from kidneyseg.nets.layers.blocks import (
    Broadcast,
    Concat,
    ConvNormAct,
    SpatialMean,
    Upsample,
    check_size,
    conv,
    double_conv,
)
from kidneyseg.nets.pretrained import load_resnet34
from kidneyseg.nets.resnet import LEVELS, ResNet34

RATES = (6, 12, 18)  # at output stride 16
LOW = 2  # level of the low-level features in the decoder: a quarter of the input's size


class AtrousPyramid(nn.Cell):
    """Atrous spatial pyramid pooling: (N, in_ch, y, x) -> (N, out_ch, y, x).

    A 1 x 1 convolution, three 3 x 3 convolutions with the dilations ``rates`` and the mean over the whole slice are
    concatenated and fused by a 1 x 1 convolution. The branch of the mean has a bias instead of the paper's batch norm:
    it has one value per sample and channel, too few in a batch of a few slices to estimate a deviation.
    """

    any_layout = True

    def __init__(self, in_ch: int, out_ch: int, rates: tuple[int, ...], norm: str | None) -> None:
        super().__init__()
        self.branches = nn.CellList(
            [ConvNormAct(2, in_ch, out_ch, kernel=1, norm=norm)]
            + [ConvNormAct(2, in_ch, out_ch, dilation=rate, norm=norm) for rate in rates]
        )
        self.mean = SpatialMean()
        self.reduce_mean = ConvNormAct(2, in_ch, out_ch, kernel=1, norm=None)
        self.spread = Broadcast()
        self.concat = Concat()
        self.fuse = ConvNormAct(2, (2 + len(rates)) * out_ch, out_ch, kernel=1, norm=norm)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        scales = [self.branches[index](x) for index in range(len(self.branches))]
        scales.append(self.spread(self.reduce_mean(self.mean(x)), x))
        return self.fuse(self.concat(tuple(scales)))


class DeepLabV3Plus(nn.Cell):
    """DeepLab V3+: (N, in_channels, y, x) -> logits (N, classes, y, x); lengths must be multiples of 2^(depth - 2).

    The encoder is a ResNet-34 whose last stage is dilated instead of halved (the paper uses ResNet-101 or Xception),
    followed by an atrous pyramid. The decoder concatenates the up-sampled pyramid with features at a quarter of the
    input's size; two 3 x 3 convolutions, the classifier and linear up-sampling by 4 follow. Convolutions are standard
    ones; the separable convolutions of the paper save operations, but have the same connections.

    Width 64 and depth 6 give output stride 16, rates 6, 12, 18, 256 channels in pyramid and decoder, and 48 channels of
    low-level features. Depth 5 leaves out ResNet's last stage: output stride 8, for which the rates 12, 24, 36 give the
    same fields of view.

    Args:
        pretrained: as for ``UNetResNet34``.

    Raises:
        InputError: another depth.
    """

    any_layout = True

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 64,
        depth: int = LEVELS,
        norm: str | None = "batch",
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        if depth not in (LEVELS - 1, LEVELS):
            raise InputError(
                "network.depth",
                expected=f"{LEVELS - 1} or {LEVELS} for deeplabv3plus",
                found=str(depth),
                remedy=f"Set it to {LEVELS}, the paper's output stride of 16",
            )
        self.output_stride = 2 ** (depth - 2)
        self.encoder = ResNet34(in_channels, width, depth, norm, dilated=True)
        if pretrained is not None:
            load_resnet34(self.encoder, pretrained)
        wide, low = 4 * width, max(1, 3 * width // 4)
        rates = tuple(rate * 16 // self.output_stride for rate in RATES)
        self.pyramid = AtrousPyramid(self.encoder.channels[-1], wide, rates, norm)
        self.up = Upsample(2, self.output_stride // 2**LOW)
        self.reduce_low = ConvNormAct(2, self.encoder.channels[LOW - 1], low, kernel=1, norm=norm)
        self.concat = Concat()
        self.decoder = double_conv(2, wide + low, wide, wide, norm)
        self.head = nn.SequentialCell(conv(2, wide, classes, kernel=1), Upsample(2, 2**LOW))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], self.output_stride)
        features = self.encoder(x)
        context = self.up(self.pyramid(features[len(features) - 1]))
        return self.head(self.decoder(self.concat((context, self.reduce_low(features[LOW - 1])))))
