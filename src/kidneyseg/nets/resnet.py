"""ResNet-34 as an encoder: He et al., "Deep residual learning for image recognition", CVPR 2016."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.errors import InputError
from kidneyseg.nets.layers.blocks import ConvNormAct
from kidneyseg.nets.layers.residual import ResidualBlock

BLOCKS = (3, 4, 6, 3)  # per stage, two convolutions each: with stem and classifier the 34 layers
LEVELS = 2 + len(BLOCKS)  # the input's resolution, the stem's, and one per stage


class PaddedMaxPool(nn.Cell):
    """Max pooling over 3 x 3 pixels with stride 2: (N, C, y, x) -> (N, C, ceil(y / 2), ceil(x / 2)).

    Only for features >= 0, as after ReLU, because the padding is 0. (``nn.MaxPool2d`` with padding is not used, because
    its export with a dynamic batch size loses the number of axes.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.pad = ops.Pad(((0, 0), (0, 0), (1, 1), (1, 1)))
        self.pool = nn.MaxPool2d(3, 2)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.pool(self.pad(x))


class ResNet34(nn.Cell):
    """ResNet-34 encoder: (N, in_channels, y, x) -> tuple of the features of levels 1 to depth - 1.

    Level k has 1 / 2^k of the input's size. Level 1 is the stem (7 x 7 convolution of stride 2, ``width`` channels),
    level 2 max pooling (3 x 3, stride 2) and the first stage of residual blocks, again with ``width`` channels. Each
    further stage halves the size by a stride and doubles the channels. The paper has width 64 and depth 6; with fewer
    levels the last stages are left out. ``pretrained.py`` translates torchvision's parameter names.

    Args:
        dilated: the last stage does not halve the size; its convolutions have dilation 2 instead.

    Attributes:
        channels: channels of level k at index k - 1.

    Raises:
        InputError: a depth below 2 or above 6.
    """

    any_layout = True

    def __init__(
        self, in_channels: int, width: int = 64, depth: int = LEVELS, norm: str | None = "batch", dilated: bool = False
    ) -> None:
        super().__init__()
        if not 2 <= depth <= LEVELS:
            raise InputError(
                "network.depth",
                expected=f"2 to {LEVELS} with a ResNet-34",
                found=str(depth),
                remedy=f"Set it to {LEVELS} for all of ResNet-34",
            )
        self.channels = [width] + [width * 2**stage for stage in range(depth - 2)]
        self.stem = ConvNormAct(2, in_channels, width, kernel=7, stride=2, norm=norm)
        self.pool = PaddedMaxPool()
        self.stages = nn.CellList(
            [self.stage(level, norm, dilated and level == depth - 1) for level in range(2, depth)]
        )

    def stage(self, level: int, norm: str | None, dilated: bool) -> nn.SequentialCell:
        """Build the residual blocks of ``level``; the first stage follows max pooling and has no stride."""
        before, after = self.channels[level - 2 : level]
        stride = 1 if level == 2 or dilated else 2
        dilation = 2 if dilated else 1
        first = ResidualBlock(2, [before, after, after], norm, stride, dilation)
        rest = [ResidualBlock(2, [after] * 3, norm, dilation=dilation) for _ in range(BLOCKS[level - 2] - 1)]
        return nn.SequentialCell([first] + rest)

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ...]:
        features: tuple[ms.Tensor, ...] = (self.stem(x),)
        for index in range(len(self.stages)):
            before = features[index]
            if index == 0:
                before = self.pool(before)
            features = features + (self.stages[index](before),)
        return features
