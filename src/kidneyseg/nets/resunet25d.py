"""2.5-D ResUNet: Chen and Zhang, "An ensemble of 2.5D ResUnet based models for segmentation of kidney and masses",
KiTS23."""

from __future__ import annotations

from kidneyseg.nets.resunet import ResUNet


class ResUNet25D(ResUNet):
    """(N, in_channels, z, y, x) -> logits (N, classes, z, y, x); y and x must be multiples of 2^(depth - 1).

    The paper's network has three down- and three up-sampling layers (depth 4) and "no down-sample at z direction",
    because the slice spacing of CT is 0.5 to 5 mm, so a step along z is a different distance in every scan. Strides,
    and the kernels of the convolutions between levels, are 1 x 2 x 2.

    The figure with the kernels is not available. Kernels within a level are 3 x 3 x 3 here, at every level: with
    1 x 3 x 3 no layer would connect slices, although the paper's input are slabs of 48 slices, which are also mirrored
    along z in inference.
    """

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, depth: int = 4, norm: str | None = "batch"
    ) -> None:
        super().__init__(in_channels, classes, width, depth, norm, strides=(1, 2, 2))
