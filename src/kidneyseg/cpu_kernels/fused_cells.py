"""Several layers as one cell, without the tensors between them: up-sampling, concatenation, convolution, norm."""

from __future__ import annotations

from functools import reduce

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from kidneyseg.cpu_kernels import convolution_operators
from kidneyseg.cpu_kernels.cells import (
    Convolution,
    NormActivation,
    TransposedConvolution,
    Unsupported,
    padding,
    per_axis,
)
from kidneyseg.nets.layers import blocks


class FusedUpConvolution(Convolution):
    """In the place of an up-convolution, of the concatenation of its features with the skip connection's and of the
    convolution after it. Takes (features of the skip connection, of the level below).

    The features are not concatenated: the convolution is the sum of one convolution of each part. Out of training, the
    up-convolution's features are not made either: it and the convolution after it are one linear map
    (source/subpixel_convolution.cc).
    """

    def __init__(self, up: nn.Conv2dTranspose | nn.Conv3dTranspose, cell: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__(cell)
        self.up, self.axes, self.outputs = TransposedConvolution(up), len(cell.weight.shape) - 2, cell.weight.shape[0]
        self.unbiased = convolution_operators.convolution(*self.settings, bias=False)
        self.add_with_epilogue = convolution_operators.convolution_epilogue(*self.settings, add=True)
        twos, ones = (2,) * self.axes, (1,) * self.axes
        self.composable = (
            per_axis(up.kernel_size, self.axes) == per_axis(up.stride, self.axes) == twos
            and self.weight.shape[2:] == (3,) * self.axes
            and set(self.settings) == {ones}
            and self.outputs % 8 == 0
        )
        self.composition = ms.Tensor(composition_matrix(self.axes), ms.float32)
        self.ones = ops.ones((self.outputs,), ms.float32)
        self.subpixel = convolution_operators.subpixel_convolution()

    def use_bfloat16(self) -> None:
        super().use_bfloat16()
        self.up.use_bfloat16()
        self.composable = False  # the composed convolution multiplies in float32

    def construct(self, parts: tuple[ms.Tensor, ms.Tensor]) -> ms.Tensor:
        if self.training:
            skip, upsampled = parts[0], self.up(parts[1])
            channels = skip.shape[1]
            return self.convolve(skip, self.weight[:, :channels]) + self.unbiased(
                upsampled, self.weight[:, channels:], self.geometry
            )
        bias = self.bias if self.has_bias else 0 * self.ones
        return self.with_epilogue(parts, ops.concat((self.ones, bias, self.ones)).reshape(3, -1))

    def with_epilogue(self, parts: tuple[ms.Tensor, ms.Tensor], epilogue: ms.Tensor) -> ms.Tensor:
        """As of Convolution."""
        skip, below = parts
        channels = skip.shape[1]
        addend, weight = self.unbiased(skip, self.weight[:, :channels], self.geometry), self.weight[:, channels:]
        # Composed, the two save the up-convolution's products for every voxel, and take more of them to compose.
        if self.composable and 2**self.axes * below.size > 6**self.axes * below.shape[1] * self.outputs:
            return self.subpixel(below, self.composed(weight), self.border(weight), epilogue, addend)
        return self.add_with_epilogue(self.up(below), weight, epilogue, addend, self.geometry)

    def composed(self, weight: ms.Tensor) -> ms.Tensor:
        """(2^axes out, below, 2, ...): what the convolution with ``weight`` after the up-convolution does."""
        between, inputs = weight.shape[1], self.up.weight.shape[0]
        taps, voxels = 3**self.axes, 2**self.axes
        weight = weight.reshape(self.outputs, between, taps).transpose(2, 0, 1).reshape(-1, between)
        up = self.up.weight.reshape(inputs, between, voxels).transpose(1, 2, 0).reshape(between, -1)
        products = ops.matmul(weight, up).reshape(taps, self.outputs, voxels, inputs).transpose(0, 2, 1, 3)
        sums = ops.matmul(self.composition, products.reshape(taps * voxels, -1))
        by_voxel = sums.reshape(voxels, voxels, self.outputs, inputs).transpose(0, 2, 3, 1)
        return by_voxel.reshape(-1, inputs, *[2] * self.axes)

    def border(self, weight: ms.Tensor) -> ms.Tensor:
        """(1, out, 3, ...): what the up-convolution's bias adds at the low end of every axis, between, at the high
        end."""
        lengths = [3] * self.axes
        if not self.up.has_bias:
            return ops.zeros((1, self.outputs, *lengths), ms.float32)
        volume = ops.tile(self.up.bias, (3**self.axes,)).reshape(1, -1, *lengths)  # channels-last
        return self.unbiased(volume, weight, self.geometry)


def composition_matrix(axes: int) -> np.ndarray:
    """(4^axes, 6^axes) of 0 and 1: which products of a tap of a 3-convolution with one of an up-convolution (kernel and
    stride 2) make up each weight of the convolution that does both.

    Along an axis the fine voxel p at a corner, the lower (0) or upper (1) one, sees by tap t = 0, 1, 2 the fine voxel
    p + t - 1. That lies in the coarse voxel s, before (0) or behind (1) the corner, as its lower or upper one r. Rows
    are (p, s), columns (t, r), in each the last axis the fastest.
    """
    along = np.zeros((2, 2, 3, 2))
    for p in range(2):
        for t in range(3):
            s, r = divmod(p + t, 2)
            along[p, s, t, r] = 1
    every = reduce(np.multiply.outer, [along] * axes)
    order = [4 * axis + kind for kind in range(4) for axis in range(axes)]
    return every.transpose(order).reshape(4**axes, 6**axes)


class UpsampledConvolution(nn.Cell):
    """In the place of blocks.Upsample and the 3 x 3 convolution after it (2-D), with factor^2 times fewer products.

    See source/upsampled_convolution.cc.
    """

    def __init__(self, upsample: blocks.Upsample, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        usual = ((3, 3), (1, 1), (1, 1))
        if (
            type(cell) is not nn.Conv2d
            or cell.group != 1
            or padding(cell, 2) != (1, 1)
            or usual != tuple(per_axis(value, 2) for value in (cell.kernel_size, cell.stride, cell.dilation))
        ):
            raise Unsupported("anything but a 3 x 3 convolution that keeps the size")
        self.weight, self.bias, self.has_bias = cell.weight, cell.bias, cell.has_bias
        self.one_by_one = (9 * cell.out_channels, cell.in_channels, 1, 1)
        self.zeros = ops.zeros((4 * cell.out_channels,), ms.float32)
        self.settings = (1, 1), (1, 1), (0, 0)  # of the 1 x 1 convolution
        self.geometry = convolution_operators.geometry(*self.settings)
        self.multiply = convolution_operators.convolution(*self.settings, self.has_bias)
        self.multiply_unbiased = convolution_operators.convolution(*self.settings, bias=False)
        self.upsample = convolution_operators.upsampled_convolution(upsample.factor)
        self.upsample_with_epilogue = convolution_operators.upsampled_convolution_epilogue(upsample.factor)

    def use_bfloat16(self) -> None:
        self.geometry = convolution_operators.geometry(*self.settings, bfloat16=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.has_bias:  # with the tap in the middle, which is never beyond an edge
            bias = ops.concat((self.zeros, self.bias, self.zeros))
            return self.upsample(self.multiply(x, self.by_tap(), bias, self.geometry))
        return self.upsample(self.multiply(x, self.by_tap(), self.geometry))

    def with_epilogue(self, x: ms.Tensor, epilogue: ms.Tensor) -> ms.Tensor:
        """As of Convolution."""
        return self.upsample_with_epilogue(self.multiply_unbiased(x, self.by_tap(), self.geometry), epilogue)

    def by_tap(self) -> ms.Tensor:
        return self.weight.transpose(2, 3, 0, 1).reshape(self.one_by_one)


class ConvolutionNormActivation(nn.Cell):
    """In the place of a convolution, one of the cells above, and of the NormActivation after it. Out of training the
    statistics of a batch norm are known, so that it is the epilogue of the convolution."""

    def __init__(self, convolution: Convolution | UpsampledConvolution, norm: NormActivation) -> None:
        super().__init__(auto_prefix=False)
        self.convolution, self.norm = convolution, norm
        self.bias = convolution.bias if convolution.has_bias else 0.0

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.training or not self.norm.batch:
            return self.norm(self.convolution(x))
        return self.convolution.with_epilogue(x, self.norm.epilogue(self.bias))
