"""3D U-Net: Cicek et al., "3D U-Net: learning dense volumetric segmentation from sparse annotation", MICCAI 2016."""

from __future__ import annotations

from mindspore import nn

from kidneyseg.nets.layers.attention import AttentionGate
from kidneyseg.nets.layers.blocks import conv, double_conv, up_conv
from kidneyseg.nets.layers.residual import ResidualBlock
from kidneyseg.nets.unet import UNet


class UNet3D(UNet):
    """3D U-Net: (N, in_channels, z, y, x) -> logits (N, classes, z, y, x).

    As in figure 2 of the paper: channels double before each pooling (n, then 2n within a level), up-convolutions keep
    the number of channels. Convolutions are padded, so that no border is lost. The paper has width 32 and depth 4.

    Args:
        residual: the two convolutions of each level form a residual block (He 2016, see ResidualBlock).
        attention: attention gates on the skip connections (Oktay 2018, see AttentionGate).
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 32,
        depth: int = 4,
        norm: str | None = "batch",
        residual: bool = False,
        attention: bool = False,
    ) -> None:
        def level(before: int, middle: int, after: int) -> nn.Cell:
            if residual:
                return ResidualBlock(3, [before, middle, after], norm)
            return double_conv(3, before, middle, after, norm)

        out = [2 * width * 2**halvings for halvings in range(depth)]
        super().__init__(
            dims=3,
            encoder=[level(before, after // 2, after) for before, after in zip([in_channels] + out, out)],
            up=[up_conv(3, deep, deep, bias=False) for deep in out[1:]],
            decoder=[level(deep + skip, skip, skip) for skip, deep in zip(out, out[1:])],
            head=conv(3, out[0], classes, kernel=1),
            gates=[AttentionGate(3, skip, deep) for skip, deep in zip(out, out[1:])] if attention else None,
        )
