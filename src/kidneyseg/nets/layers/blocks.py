"""Building blocks of the networks, for 2-D (N, C, y, x) and 3-D (N, C, z, y, x) tensors.

All computation is in cells that are attributes of other cells, so that the CPU kernels can replace them.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import HeNormal, Normal

from kidneyseg.nets.layers.norm import make_norm

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {2: nn.Conv2dTranspose, 3: nn.Conv3dTranspose}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
LEAKY_SLOPE = 0.01
PerAxis = int | tuple[int, ...]  # one number for all spatial axes, or one for each


def make_act(name: str | None, channels: int) -> nn.Cell:
    """Build the activation "relu", "leaky_relu" (slope 0.01) or "prelu" (one slope per channel); None: identity.

    Raises:
        ValueError: another name.
    """
    if name is None:
        return nn.Identity()
    if name == "relu":
        return nn.ReLU()
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE)
    if name == "prelu":
        return nn.PReLU(channels)
    raise ValueError(f"act must be 'relu', 'leaky_relu', 'prelu' or None, but is {name!r}")


def conv(
    dims: int, in_ch: int, out_ch: int, kernel: PerAxis = 3, stride: PerAxis = 1, dilation: int = 1, bias: bool = True
) -> nn.Cell:
    """Build a convolution with He-normal weights; an odd kernel with stride 1 keeps the size of its input."""
    lengths = (kernel,) * dims if isinstance(kernel, int) else kernel
    padding = tuple(dilation * (length - 1) // 2 for length in lengths for _ in ("low end", "high end"))
    return CONV[dims](
        in_ch,
        out_ch,
        kernel,
        stride,
        pad_mode="pad",
        padding=padding,
        dilation=dilation,
        has_bias=bias,
        weight_init=HeNormal(),
        bias_init="zeros",
    )


def up_conv(dims: int, in_ch: int, out_ch: int, bias: bool = True, factor: PerAxis = 2) -> nn.Cell:
    """Build the transposed convolution (kernel and stride ``factor``) that enlarges every length by ``factor``.

    Kernel equals stride, so each output voxel is a sum of ``in_ch`` products: weights of variance 1 / in_ch keep the
    variance.
    """
    return CONV_TRANSPOSE[dims](
        in_ch,
        out_ch,
        factor,
        factor,
        pad_mode="valid",
        has_bias=bias,
        weight_init=Normal(math.sqrt(1 / in_ch)),
        bias_init="zeros",
    )


def max_pool(dims: int, factor: int = 2) -> nn.Cell:
    """Build max pooling over windows of ``factor`` voxels along every axis."""
    return MAX_POOL[dims](factor, factor)


class ConvNormAct(nn.Cell):
    """Convolution, normalisation, activation: (N, in_ch, *S) -> (N, out_ch, *S / stride).

    The convolution has a bias only without normalisation, which would remove it.
    """

    any_layout = True

    def __init__(
        self,
        dims: int,
        in_ch: int,
        out_ch: int,
        kernel: PerAxis = 3,
        stride: PerAxis = 1,
        dilation: int = 1,
        norm: str | None = "batch",
        act: str | None = "relu",
    ) -> None:
        super().__init__()
        self.conv = conv(dims, in_ch, out_ch, kernel, stride, dilation, bias=norm is None)
        self.norm = make_norm(norm, out_ch)
        self.act = make_act(act, out_ch)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.act(self.norm(self.conv(x)))


class NormActConv(nn.Cell):
    """Normalisation, activation, 3 x 3 (x 3) convolution: (N, in_ch, *S) -> (N, out_ch, *S).

    This is the order of "pre-activation" residual blocks (He 2016, "Identity mappings in deep residual networks").
    """

    any_layout = True

    def __init__(self, dims: int, in_ch: int, out_ch: int, norm: str | None = "batch", act: str = "relu") -> None:
        super().__init__()
        self.norm = make_norm(norm, in_ch)
        self.act = make_act(act, in_ch)
        self.conv = conv(dims, in_ch, out_ch, bias=norm is None)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.conv(self.act(self.norm(x)))


def double_conv(dims: int, in_ch: int, mid_ch: int, out_ch: int, norm: str | None) -> nn.SequentialCell:
    """Build two 3 x 3 (x 3) ConvNormAct, in_ch -> mid_ch -> out_ch: one level of a U-Net."""
    return nn.SequentialCell(ConvNormAct(dims, in_ch, mid_ch, norm=norm), ConvNormAct(dims, mid_ch, out_ch, norm=norm))


class Upsample(nn.Cell):
    """Linear interpolation to ``factor`` times the size along every spatial axis.

    Sample points are voxel centres (``align_corners=False``), as in torch's ``interpolate``.
    """

    def __init__(self, dims: int, factor: int = 2) -> None:
        super().__init__()
        self.dims = dims
        self.factor = factor
        # The operators used by ``ops.interpolate``, which itself cannot be exported with a dynamic batch size.
        self.bilinear = ops.ResizeBilinearV2(align_corners=False, half_pixel_centers=True)
        self.trilinear = ops.UpsampleTrilinear3D(align_corners=False)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        size = tuple([length * self.factor for length in x.shape[2:]])
        return self.bilinear(x, size) if self.dims == 2 else self.trilinear(x, size, None)


class Repeat3D(nn.Cell):
    """Nearest-neighbour up-sampling of (N, C, z, y, x): every voxel is repeated ``factor`` times along each axis."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        self.repeat = ops.UpsampleNearest3D()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.repeat(x, tuple([length * self.factor for length in x.shape[2:]]), None)


class Concat(nn.Cell):
    """Concatenates tensors (N, C_i, *S) along the channels: (N, sum of C_i, *S)."""

    def construct(self, tensors: tuple[ms.Tensor, ...]) -> ms.Tensor:
        return ops.concat(tensors, axis=1)


class SpatialMean(nn.Cell):
    """The mean of every channel over all voxels: (N, C, *S) -> (N, C, 1...), with the same number of axes."""

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x.mean(tuple(range(2, x.ndim)), keep_dims=True)


class Broadcast(nn.Cell):
    """Broadcasts a value per sample and channel to all voxels: x (N, C, 1...), like (N, any, *S) -> (N, C, *S)."""

    def construct(self, x: ms.Tensor, like: ms.Tensor) -> ms.Tensor:
        return ops.tile(x, (1, 1) + like.shape[2:])


def check_size(size: tuple[int, ...], factor: PerAxis) -> None:
    """Raise ValueError if a spatial length is not a multiple of ``factor``, because halving would lose voxels."""
    factors = (factor,) * len(size) if isinstance(factor, int) else factor
    for length, multiple in zip(size, factors):
        if length % multiple != 0:
            raise ValueError(
                f"the network makes its input {factors} times smaller: a length of {length} must be a "
                f"multiple of {multiple}, but the input has {size}"
            )
