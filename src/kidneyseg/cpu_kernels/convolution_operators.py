"""The C++ kernels of convolutions as differentiable MindSpore operators; see operators.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import mindspore as ms
from mindspore import ops

from kidneyseg.cpu_kernels.operators import custom, integers, marker


def geometry(
    strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...], bfloat16: bool = False
) -> ms.Tensor:
    """The settings of a convolution, in the order that source/convolution_problem.h expects.

    Args:
        strides, dilations, padding: one entry per spatial axis; padding at the low end.
        bfloat16: whether what is multiplied may be rounded to bfloat16.
    """
    return integers(*strides, *dilations, *padding, int(bfloat16))


def no_gradients(*_) -> tuple:
    """The ``bprop`` of operators for inference alone."""
    raise RuntimeError("The kernels have no gradients for networks out of training: call network.set_train(True)")


@cache
def bias_gradient() -> ops.Custom:
    """f(dy) -> sums per channel (C,)."""
    return custom("ConvolutionBackwardBias", lambda dy: (dy[1],))


def _reach(dilations: tuple[int, ...], padding: tuple[int, ...], axis: int, kernel: int) -> int:
    """Length of the input, less the padding, that one voxel of a convolution's output depends on."""
    return dilations[axis] * (kernel - 1) + 1 - 2 * padding[axis]


def convolved_shape(strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...]) -> Callable:
    """The ``out_shape`` of convolutions of x by weights."""

    def out_shape(x, w, *_):
        return (
            x[0],
            w[0],
            *[(x[i + 2] - _reach(dilations, padding, i, w[i + 2])) // strides[i] + 1 for i in range(len(strides))],
        )

    return out_shape


def convolution(strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...], bias: bool) -> Callable:
    """Returns f(x, weights[, bias], geometry) -> y, padding being the same on both sides of an axis."""
    axes = range(len(strides))
    reach = partial(_reach, dilations, padding)

    def in_shape(dy, w, unused, geometry):
        return (dy[0], w[1], *[(dy[i + 2] - 1) * strides[i] + reach(i, w[i + 2]) + unused[i] - 1 for i in axes])

    gradient_data = custom("ConvolutionBackwardData", in_shape, variant=(strides, dilations, padding))
    gradient_weights = custom("ConvolutionBackwardWeights", lambda x, dy, w, geometry: w)
    gradient_bias = bias_gradient()

    def backward(x, w, geometry, out, dout):
        dw = gradient_weights(x, dout, w, geometry)
        # One more than the voxels at the high end that a stride leaves unused.
        unused = marker(*[(x.shape[i + 2] - reach(i, w.shape[i + 2])) % strides[i] + 1 for i in axes])
        return gradient_data(ops.depend(dout, dw), w, unused, geometry), dw, ops.zeros_like(geometry)

    def backward_bias(x, w, b, geometry, out, dout):
        dx, dw, no_gradient = backward(x, w, geometry, out, dout)
        return dx, dw, gradient_bias(dout), no_gradient

    return custom(
        "ConvolutionBiasForward" if bias else "ConvolutionForward",
        convolved_shape(strides, dilations, padding),
        backward_bias if bias else backward,
        variant=(strides, dilations, padding),
    )


@cache
def convolution_epilogue(
    strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...], add: bool
) -> Callable:
    """Returns f(x, weights, epilogue (3, out)[, addend], geometry) -> y, without gradients.

    y is activation(scale * (convolution + addend) + shift); ``epilogue`` is scale, shift and the activation's slope
    below zero (source/epilogue.h), ``addend`` has the shape of y.
    """
    return custom(
        "ConvolutionAddEpilogueForward" if add else "ConvolutionEpilogueForward",
        convolved_shape(strides, dilations, padding),
        no_gradients,
        variant=(strides, dilations, padding),
    )


@cache
def subpixel_convolution() -> ops.Custom:
    """f(x, weights, border, epilogue (3, out), addend) -> y at twice the size, without gradients
    (source/subpixel_convolution.cc)."""
    return custom("SubpixelConvolutionForward", lambda x, w, border, epilogue, addend: addend, no_gradients)


def transposed_convolution(strides: tuple[int, ...], padding: tuple[int, ...], bias: bool) -> Callable:
    """Returns f(x, weights (in, out, *kernel)[, bias], geometry) -> y: the gradient of a convolution's input."""

    def in_shape(dy, w, geometry):
        spatial = [(dy[i + 2] + 2 * padding[i] - w[i + 2]) // strides[i] + 1 for i in range(len(strides))]
        return (dy[0], w[0], *spatial)

    gradient_data = custom("ConvolutionForward", in_shape, variant=("gradient", strides, padding))
    gradient_weights = custom("ConvolutionBackwardWeights", lambda x, dy, w, geometry: w)
    gradient_bias = bias_gradient()

    def out_shape(x, w, *_):
        spatial = [(x[i + 2] - 1) * strides[i] + w[i + 2] - 2 * padding[i] for i in range(len(strides))]
        return (x[0], w[1], *spatial)

    def backward(x, w, geometry, out, dout):
        # The convolution whose input's gradient this is takes dout to dx.
        dw = gradient_weights(dout, x, w, geometry)
        return gradient_data(ops.depend(dout, dw), w, geometry), dw, ops.zeros_like(geometry)

    def backward_bias(x, w, b, geometry, out, dout):
        dx, dw, no_gradient = backward(x, w, geometry, out, dout)
        return dx, dw, gradient_bias(dout), no_gradient

    return custom(
        "TransposedConvolutionBiasForward" if bias else "TransposedConvolutionForward",
        out_shape,
        backward_bias if bias else backward,
        variant=(strides, padding),
    )


def upsampled_shape(factor: int) -> Callable:
    """The ``out_shape`` of both operators below."""
    return lambda z, *_: (z[0], z[1] // 9, *[length * factor for length in z[2:]])


@cache
def upsampled_convolution(factor: int) -> ops.Custom:
    """f(z (N, 9 C, y, x)) -> (N, C, y, x) at ``factor`` times the size.

    The second half of a 3 x 3 convolution of linearly up-sampled features: ``z`` are its products by tap and channel
    (source/upsampled_convolution.cc).
    """
    backward = custom(
        "UpsampledConvolutionBackward",
        lambda dy: (dy[0], 9 * dy[1], *[length // factor for length in dy[2:]]),
        variant=factor,
    )

    def bprop(z, out, dout):
        return (backward(dout),)

    return custom("UpsampledConvolutionForward", upsampled_shape(factor), bprop, variant=factor)


@cache
def upsampled_convolution_epilogue(factor: int) -> ops.Custom:
    """f(z, epilogue (3, C)) -> the same with an epilogue, as of ``convolution_epilogue``, without gradients."""
    return custom("UpsampledConvolutionEpilogueForward", upsampled_shape(factor), no_gradients, variant=factor)
