"""U-Net: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015."""

from __future__ import annotations

from kidneyseg.nets.layers.blocks import conv, double_conv, up_conv
from kidneyseg.nets.unet import UNet


class UNet2D(UNet):
    """U-Net: (N, in_channels, y, x) -> logits (N, classes, y, x).

    As in figure 1 of the paper, but with padded convolutions, so that no border is lost. The paper has width 64, depth
    5 and no normalisation (``norm=None``).
    """

    def __init__(
        self, in_channels: int, classes: int, width: int = 64, depth: int = 5, norm: str | None = "batch"
    ) -> None:
        out = [width * 2**level for level in range(depth)]
        super().__init__(
            dims=2,
            encoder=[double_conv(2, before, after, after, norm) for before, after in zip([in_channels] + out, out)],
            up=[up_conv(2, deep, skip) for skip, deep in zip(out, out[1:])],
            decoder=[double_conv(2, 2 * skip, skip, skip, norm) for skip in out[:-1]],
            head=conv(2, out[0], classes, kernel=1),
        )
