"""3-D ResUNet, as used in two systems for KiTS: see ResUNet3D."""

from __future__ import annotations

from kidneyseg.nets.resunet import ResUNet


class ResUNet3D(ResUNet):
    """(N, in_channels, z, y, x) -> logits (N, classes, z, y, x); lengths must be multiples of 2^(depth - 1).

    Without deep supervision it is the "original ResUNet" with which Chen and Zhang ("An ensemble of 2.5D ResUnet based
    models for segmentation of kidney and masses", KiTS23) localise the kidneys. With deep supervision it is the
    "4-layer encoder and 4-layer decoder" whose layers "input the output of the previous layer to the next", with four
    outputs of the target's size (3-D ResUNet and 2.5-D V-Net, KiTS19). Neither text gives widths, activations or norms:
    here channels double from level to level, and the recipe's norm and ReLU follow each convolution. The side outputs
    are described in ResUNet.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        norm: str | None = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__(in_channels, classes, width, depth, norm, strides=(2, 2, 2), deep_supervision=deep_supervision)
