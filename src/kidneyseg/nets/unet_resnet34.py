"""U-Net with a ResNet-34 encoder, as used by Beheshtifard ("Kidney tumor segmentation", KiTS21) on axial slices."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, Upsample, check_size, conv, double_conv
from kidneyseg.nets.pretrained import load_resnet34
from kidneyseg.nets.resnet import LEVELS, ResNet34


class UNetResNet34(nn.Cell):
    """U-Net with ResNet-34: (N, in_channels, y, x) -> logits (N, classes, y, x).

    Lengths must be multiples of 2^(depth - 1). The encoder halves the size depth - 1 times. Each decoder level
    up-samples by 2 (linearly; the paper says only "an upsampling layer"), concatenates the encoder's features of the
    same size and applies two 3 x 3 convolutions. With width 64 and depth 6 the decoder has 256, 128, 64, 32 and 16
    channels, and its last level, at the input's size, has no skip, as in the library that made this network popular
    (Iakubovskii, segmentation_models, 2019).

    Args:
        pretrained: file of PyTorch weights of ResNet-34 for the encoder (see ``pretrained.py``), which needs width 64
            and batch norm; None: random weights.
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
        self.depth = depth
        self.encoder = ResNet34(in_channels, width, depth, norm)
        if pretrained is not None:
            load_resnet34(self.encoder, pretrained)
        skips = [0] + self.encoder.channels[:-1]  # channels of the skip of each level, starting at the input's size
        out = [max(1, width * 2**level // 4) for level in range(depth - 1)]
        below = out[1:] + self.encoder.channels[-1:]
        self.up = Upsample(2)
        self.concat = Concat()
        self.decoder = nn.CellList(
            [double_conv(2, deep + skip, after, after, norm) for deep, skip, after in zip(below, skips, out)]
        )
        self.head = conv(2, out[0], classes, kernel=1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        features = self.encoder(x)
        x = features[self.depth - 2]
        for level in range(self.depth - 2, 0, -1):
            x = self.decoder[level](self.concat((features[level - 1], self.up(x))))
        return self.head(self.decoder[0](self.up(x)))
