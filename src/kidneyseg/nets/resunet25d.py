"""2.5-D ResUNet: Chen and Zhang, "An ensemble of 2.5D ResUnet based models for segmentation of kidney and masses",
KiTS23."""

from __future__ import annotations

from kidneyseg.nets.resunet import ResUNet


class ResUNet25D(ResUNet):
    """(N, in_channels, z, y, x) -> logits (N, classes, z, y, x); y and x must be multiples of 2^(depth - 1).

    The paper's network has three down- and three up-sampling layers (depth 4) and "no down-sample at z direction": CT
    slices lie 0.5 to 5 mm apart, so a step along z means another distance in every scan. Strides, and with them the
    kernels of the convolutions between levels, are 1 x 2 x 2.

    The figure with the kernels is lost. Those within a level are 3 x 3 x 3 here, at every level: 1 x 3 x 3 would leave
    nothing that joins slices, and the paper feeds slabs of 48 of them and averages over their mirror image along z.
    """

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, depth: int = 4, norm: str | None = "batch"
    ) -> None:
        super().__init__(in_channels, classes, width, depth, norm, strides=(1, 2, 2))
