"""Cells that compute with the kernels what a MindSpore cell does, with that cell's own Parameter objects.

Each is made from the cell whose place it takes, and takes and gives channels-last tensors (see operators.py). The
``Unsupported`` exception tells that a cell has settings the kernels do not know: it then keeps its place.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from kidneyseg.cpu_kernels import convolution_operators, operators
from kidneyseg.nets.layers import norm as norms


class Unsupported(Exception):
    """The kernels do not know this setting of the cell."""


def per_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """MindSpore's settings as one number per spatial axis; its tuples may begin with entries for N and C."""
    return (value,) * axes if isinstance(value, int) else tuple(value)[-axes:]


def padding(cell: nn.Cell, axes: int) -> tuple[int, ...]:
    """Voxels added at both ends of every axis."""
    if cell.pad_mode == "valid":
        return (0,) * axes
    if cell.pad_mode == "pad":
        if isinstance(cell.padding, int):
            return (cell.padding,) * axes
        low, high = tuple(cell.padding[::2]), tuple(cell.padding[1::2])
        if low == high:
            return low
    elif set(per_axis(cell.stride, axes)) == {1} and all(k % 2 == 1 for k in per_axis(cell.kernel_size, axes)):
        return tuple(d * (k - 1) // 2 for k, d in zip(per_axis(cell.kernel_size, axes), per_axis(cell.dilation, axes)))
    raise Unsupported("padding differs between the ends of an axis")


class Convolution(nn.Cell):
    """In the place of nn.Conv2d, nn.Conv3d."""

    def __init__(self, cell: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__(auto_prefix=False)
        if cell.group != 1:
            raise Unsupported("groups")
        axes = len(cell.weight.shape) - 2
        self.settings = per_axis(cell.stride, axes), per_axis(cell.dilation, axes), padding(cell, axes)
        self.weight, self.bias, self.has_bias = cell.weight, cell.bias, cell.has_bias
        self.geometry = convolution_operators.geometry(*self.settings)
        self.operator = convolution_operators.convolution(*self.settings, self.has_bias)
        self.operator_with_epilogue = convolution_operators.convolution_epilogue(*self.settings, add=False)

    def use_bfloat16(self) -> None:
        self.geometry = convolution_operators.geometry(*self.settings, bfloat16=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.convolve(x, self.weight)

    def convolve(self, x: ms.Tensor, weight: ms.Tensor) -> ms.Tensor:
        if self.has_bias:
            return self.operator(x, weight, self.bias, self.geometry)
        return self.operator(x, weight, self.geometry)

    def with_epilogue(self, x: ms.Tensor, epilogue: ms.Tensor) -> ms.Tensor:
        """The convolution without its bias, then the ``epilogue`` (3, C) (source/epilogue.h). Without gradients."""
        return self.operator_with_epilogue(x, self.weight, epilogue, self.geometry)


class TransposedConvolution(nn.Cell):
    """In the place of nn.Conv2dTranspose, nn.Conv3dTranspose."""

    def __init__(self, cell: nn.Conv2dTranspose | nn.Conv3dTranspose) -> None:
        super().__init__(auto_prefix=False)
        axes = len(cell.weight.shape) - 2
        strides, kernel = per_axis(cell.stride, axes), per_axis(cell.kernel_size, axes)
        if cell.group != 1 or set(per_axis(cell.dilation, axes)) != {1} or cell.pad_mode == "same":
            raise Unsupported("groups, dilation or pad_mode 'same'")
        if any(k < s for k, s in zip(kernel, strides)) or any(per_axis(getattr(cell, "output_padding", 0), axes)):
            raise Unsupported("gaps between the kernel's imprints, or output padding")
        self.settings = strides, (1,) * axes, padding(cell, axes)
        self.weight, self.bias, self.has_bias = cell.weight, cell.bias, cell.has_bias
        self.geometry = convolution_operators.geometry(*self.settings)
        self.operator = convolution_operators.transposed_convolution(strides, self.settings[2], self.has_bias)

    def use_bfloat16(self) -> None:
        self.geometry = convolution_operators.geometry(*self.settings, bfloat16=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.has_bias:
            return self.operator(x, self.weight, self.bias, self.geometry)
        return self.operator(x, self.weight, self.geometry)


def negative_slope(act: nn.Cell) -> float:
    """Slope of an activation below zero; 1 for the identity."""
    for kind, slope in ((nn.Identity, 1.0), (nn.ReLU, 0.0)):
        if type(act) is kind:
            return slope
    if type(act) is nn.LeakyReLU:
        return float(act.alpha)
    raise Unsupported(f"activation {type(act).__name__}")


class NormActivation(nn.Cell):
    """In the place of a batch or instance norm and of the activation after it.

    Of a PReLU the slopes are learnt; ``act`` must have one for each channel then.
    """

    def __init__(self, norm: norms.BatchNorm | norms.InstanceNorm, act: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.gamma, self.beta = norm.gamma, norm.beta
        channels = self.gamma.shape[0]
        learn = type(act) is nn.PReLU
        if learn and act.w.shape != (channels,):
            raise Unsupported("one slope for all channels")
        self.slope = act.w if learn else ms.Tensor(np.full(channels, negative_slope(act), np.float32))
        self.batch, self.eps = isinstance(norm, norms.BatchNorm), norm.eps
        if self.batch:
            if norm.ranks > 1:
                raise Unsupported("statistics over several ranks")
            self.moving_mean, self.moving_variance = norm.moving_mean, norm.moving_variance
        momentum = norm.momentum if self.batch else 0.0
        settings = [operators.norm_settings(norm.eps, momentum, training, learn) for training in (False, True)]
        self.inference_settings, self.training_settings = settings
        self.operator = operators.batch_norm() if self.batch else operators.instance_norm()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if not self.batch:
            return self.operator(x, self.gamma, self.beta, self.slope, self.training_settings)[0]
        settings = self.training_settings if self.training else self.inference_settings
        y, _, _, mean, variance = self.operator(
            x, self.gamma, self.beta, self.slope, self.moving_mean, self.moving_variance, settings
        )
        if self.training:
            ops.assign(self.moving_mean, ops.stop_gradient(mean))
            ops.assign(self.moving_variance, ops.stop_gradient(variance))
        return y

    def epilogue(self, bias: ms.Tensor | float) -> ms.Tensor:
        """(3, C): a convolution's ``bias``, and batch norm and activation out of training, as the convolution's
        epilogue (source/epilogue.h)."""
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.eps)
        return ops.concat((scale, self.beta + (bias - self.moving_mean) * scale, self.slope)).reshape(3, -1)


class Activation(nn.Cell):
    """In the place of nn.ReLU, nn.LeakyReLU."""

    def __init__(self, cell: nn.ReLU | nn.LeakyReLU) -> None:
        super().__init__(auto_prefix=False)
        self.slope = ms.Tensor([negative_slope(cell)], ms.float32)
        self.operator = operators.activation()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x, self.slope)


class PReLU(nn.Cell):
    """In the place of nn.PReLU with a slope per channel: a batch norm with mean 0, variance 1, gamma 1 and beta 0."""

    def __init__(self, cell: nn.PReLU) -> None:
        super().__init__(auto_prefix=False)
        if cell.w.shape[0] == 1:
            raise Unsupported("perhaps one slope for all channels")
        self.w = cell.w
        self.zeros, self.ones = ops.zeros(self.w.shape, ms.float32), ops.ones(self.w.shape, ms.float32)
        self.settings = operators.norm_settings(0.0, 0.0, training=False, learn_slope=True)
        self.operator = operators.batch_norm()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x, self.ones, self.zeros, self.w, self.zeros, self.ones, self.settings)[0]


class Upsample(nn.Cell):
    """In the place of nets.layers.blocks.Upsample ("Linear") and Repeat3D ("Nearest")."""

    def __init__(self, mode: str, factor: int) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.upsample(mode, factor)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x)


class Concat(nn.Cell):
    """In the place of nets.layers.blocks.Concat."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.concat, self.concat_backward = operators.concat(), operators.concat_backward()

    def construct(self, tensors: tuple[ms.Tensor, ...]) -> ms.Tensor:
        return self.concat(*tensors)

    def bprop(self, tensors: tuple[ms.Tensor, ...], out: ms.Tensor, dout: ms.Tensor) -> tuple:
        return (self.concat_backward(dout, *[operators.marker(x.shape[1]) for x in tensors]),)


class ChannelsLast(nn.Cell):
    """Lets a cell that works channels-last take and give channels-first tensors: one, or a tuple of them."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell
        self.to_channels_last, self.to_channels_first = operators.to_channels_last(), operators.to_channels_first()

    def construct(self, *inputs: ms.Tensor) -> ms.Tensor | tuple[ms.Tensor, ...]:
        out = self.cell(*[self.to_channels_last(x) for x in inputs])
        if isinstance(out, tuple):
            return tuple([self.to_channels_first(one) for one in out])
        return self.to_channels_first(out)


class ChannelsFirst(nn.Cell):
    """Lets a cell that works channels-first take and give channels-last tensors."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell
        self.to_channels_last, self.to_channels_first = operators.to_channels_last(), operators.to_channels_first()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.to_channels_last(self.cell(self.to_channels_first(x)))
