"""V-Net: Milletari et al., "V-Net: fully convolutional neural networks for volumetric segmentation", 3DV 2016."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import Concat, ConvNormAct, check_size, conv, make_act, up_conv
from kidneyseg.nets.layers.norm import make_norm
from kidneyseg.nets.layers.residual import ResidualStage

CONVOLUTIONS = 3  # maximum per level; level k (from 0) has k + 1


def residual_stage(in_ch: int, out_ch: int, convolutions: int, norm: str | None) -> ResidualStage:
    """Build a residual stage of 5 x 5 x 5 convolutions with PReLU."""
    return ResidualStage(3, [in_ch] + [out_ch] * convolutions, kernel=5, norm=norm, act="prelu")


class VNet3D(nn.Cell):
    """V-Net: (N, in_channels, z, y, x) -> logits (N, classes, z, y, x); lengths must be multiples of 2^(depth - 1).

    Residual stages connected by 2 x 2 x 2 convolutions of stride 2 instead of pooling. The input is repeated to the
    channels of the first stage and added to its output. The paper has width 16, depth 5 and no normalisation
    (``norm=None``).

    Raises:
        ValueError: ``width`` is not a multiple of ``in_channels``.
    """

    any_layout = True

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, depth: int = 5, norm: str | None = "batch"
    ) -> None:
        super().__init__()
        if width % in_channels != 0:
            raise ValueError(f"VNet3D's width must be a multiple of its {in_channels} input channels, but is {width}")
        self.depth = depth
        self.repeats = width // in_channels
        out = [width * 2**level for level in range(depth)]
        convolutions = [min(level + 1, CONVOLUTIONS) for level in range(depth)]
        self.encoder = nn.CellList(
            [
                residual_stage(in_channels if level == 0 else out[level], out[level], convolutions[level], norm)
                for level in range(depth)
            ]
        )
        self.down = nn.CellList(
            [
                ConvNormAct(3, before, after, kernel=2, stride=2, norm=norm, act="prelu")
                for before, after in zip(out, out[1:])
            ]
        )
        # Up-sampled features are concatenated with a skip of the same width, so decoder stages are twice as wide.
        below = [2 * channels for channels in out[1:-1]] + [out[-1]]
        self.up = nn.CellList(
            [
                nn.SequentialCell(
                    up_conv(3, deep, skip, bias=norm is None), make_norm(norm, skip), make_act("prelu", skip)
                )
                for skip, deep in zip(out, below)
            ]
        )
        self.concat = Concat()
        self.decoder = nn.CellList(
            [residual_stage(2 * out[level], 2 * out[level], convolutions[level], norm) for level in range(depth - 1)]
        )
        self.head = conv(3, 2 * width, classes, kernel=1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        check_size(x.shape[2:], 2 ** (self.depth - 1))
        x = self.encoder[0](x, self.concat((x,) * self.repeats))
        skips = [x]
        for level in range(1, self.depth):
            x = self.down[level - 1](x)
            x = self.encoder[level](x, x)
            skips.append(x)
        for level in range(self.depth - 2, -1, -1):
            x = self.concat((skips[level], self.up[level](x)))
            x = self.decoder[level](x, x)
        return self.head(x)
