"""3D U-Net: Cicek et al., "3D U-Net: learning dense volumetric segmentation from sparse annotation", MICCAI 2016."""
from __future__ import annotations

from kidneyseg.nets.blocks import conv, double_conv, up_conv
from kidneyseg.nets.unet import UNet


class UNet3D(UNet):
    """(N, in_channels, z, y, x) -> logits (N, classes, z, y, x).

    As in the paper's figure 2: channels double before each pooling (n then 2n within a level), up-convolutions keep
    the number of channels. Convolutions are padded, so that no border is lost. The paper has width 32 and depth 4.
    """

    def __init__(self, in_channels: int, classes: int, width: int = 32, depth: int = 4,
                 norm: str | None = "batch") -> None:
        out = [2 * width * 2**level for level in range(depth)]
        super().__init__(
            dims=3,
            encoder=[double_conv(3, before, after // 2, after, norm)
                     for before, after in zip([in_channels] + out, out)],
            up=[up_conv(3, deep, deep, bias=False) for deep in out[1:]],
            decoder=[double_conv(3, deep + skip, skip, skip, norm) for skip, deep in zip(out, out[1:])],
            head=conv(3, out[0], classes, kernel=1),
        )
