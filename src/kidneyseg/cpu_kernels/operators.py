"""The C++ kernels as differentiable MindSpore operators.

All tensors are float32. Activations have the shape (N, C, *spatial) but lie channels-last in memory (source/kernel.h):
`enter` and `leave` convert, and between them only these operators and element-wise ones may touch them.

MindSpore's contract for `ops.Custom(func_type="aot")`: shapes and types of the outputs come from Python functions of
the inputs' ones; a `bprop` receives all inputs, the output and its gradient and returns one gradient per input, also
for the settings. What an operator shall remember for its backward pass must be an output.

The peak of a training step lies in its backward pass. A tensor lives until the last operator it is an input of has
run, so what is needed for its shape alone is replaced by a `marker`; and MindSpore starts all operators whose inputs
are there at once, outputs allocated, so that the gradient of a convolution's input is held back until that of its
weights has been computed and the input itself is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import mindspore as ms
from mindspore import ops

from kidneyseg.cpu_kernels.build import library


def custom(
    name: str, out_shape: Callable, bprop: Callable | None = None, outputs: int = 1, variant: object = None
) -> ops.Custom:
    """Returns the kernel `name` as an operator with float32 outputs of the shapes `out_shape(*input shapes)`.

    MindSpore takes operators with equal attributes for one and uses the `out_shape` and `bprop` of the first it met:
    operators of the same kernel with different functions must differ in `variant`.
    """
    out_dtype = ms.float32 if outputs == 1 else (ms.float32,) * outputs
    operator = ops.Custom(f"{library()}:{name}", out_shape=out_shape, out_dtype=out_dtype, func_type="aot", bprop=bprop)
    operator.add_prim_attr("variant", repr(variant))
    return operator


def no_gradients(*_) -> tuple:
    """The `bprop` of operators for inference alone."""
    raise RuntimeError("The kernels have no gradients for networks out of training: call network.set_train(True)")


def integers(*values: int) -> ms.Tensor:
    return ms.Tensor(list(values), ms.int64)


def marker(*lengths: int) -> ms.Tensor:
    """A small tensor whose shape tells an operator what it must know of the shape of another."""
    return ops.zeros(lengths, ms.float32)


@cache
def channel_sum() -> ops.Custom:
    return custom("ChannelSum", lambda dy: (dy[1],))


def _reach(dilations: tuple[int, ...], padding: tuple[int, ...], axis: int, kernel: int) -> int:
    """Of a convolution's input, less the padding, for one voxel of its output."""
    return dilations[axis] * (kernel - 1) + 1 - 2 * padding[axis]


def convolved_shape(strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...]) -> Callable:
    """The `out_shape` of convolutions of x by weights."""

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

    def in_shape(y, w, unused, geometry):
        return (y[0], w[1], *[(y[i + 2] - 1) * strides[i] + reach(i, w[i + 2]) + unused[i] - 1 for i in axes])

    gradient_data = custom("ConvolutionData", in_shape, variant=("gradient", strides, dilations, padding))
    gradient_weights = custom("ConvolutionWeights", lambda x, y, w, geometry: w)
    sum_channels = channel_sum()

    def backward(x, w, geometry, out, dout):
        dw = gradient_weights(x, dout, w, geometry)
        # One more than the voxels at the high end that a stride leaves unused.
        unused = marker(*[(x.shape[i + 2] - reach(i, w.shape[i + 2])) % strides[i] + 1 for i in axes])
        return gradient_data(ops.depend(dout, dw), w, unused, geometry), dw, ops.zeros_like(geometry)

    def backward_bias(x, w, b, geometry, out, dout):
        dx, dw, no_gradient = backward(x, w, geometry, out, dout)
        return dx, dw, sum_channels(dout), no_gradient

    return custom(
        "ConvolutionForward",
        convolved_shape(strides, dilations, padding),
        backward_bias if bias else backward,
        variant=(strides, dilations, padding, bias),
    )


@cache
def finished_convolution(strides: tuple[int, ...], dilations: tuple[int, ...], padding: tuple[int, ...]) -> Callable:
    """Returns f(x, weights, constants (3, out)[, added], geometry) -> y, the convolution with what comes after it
    (source/epilogue.h): activation(scale * (sums + added) + shift). Without gradients."""
    return custom(
        "ConvolutionForward",
        convolved_shape(strides, dilations, padding),
        no_gradients,
        variant=("finished", strides, dilations, padding),
    )


@cache
def subpixel_convolution() -> ops.Custom:
    """f(x, weights, border, constants (3, out), added) -> y at twice the size (source/subpixel_convolution.cc). Without
    gradients."""
    return custom("SubpixelForward", lambda x, w, border, constants, added: added, no_gradients)


def transposed_convolution(strides: tuple[int, ...], padding: tuple[int, ...], bias: bool) -> Callable:
    """Returns f(x, weights[, bias], geometry) -> y for weights (in, out, *kernel): a convolution read backwards."""

    def in_shape(dy, w, geometry):
        spatial = [(dy[i + 2] + 2 * padding[i] - w[i + 2]) // strides[i] + 1 for i in range(len(strides))]
        return (dy[0], w[0], *spatial)

    gradient_data = custom("ConvolutionForward", in_shape, variant=("gradient", strides, padding))
    gradient_weights = custom("ConvolutionWeights", lambda dy, x, w, geometry: w)
    sum_channels = channel_sum()

    def out_shape(x, w, *_):
        spatial = [(x[i + 2] - 1) * strides[i] + w[i + 2] - 2 * padding[i] for i in range(len(strides))]
        return (x[0], w[1], *spatial)

    def backward(x, w, geometry, out, dout):
        dw = gradient_weights(dout, x, w, geometry)
        return gradient_data(ops.depend(dout, dw), w, geometry), dw, ops.zeros_like(geometry)

    def backward_bias(x, w, b, geometry, out, dout):
        dx, dw, no_gradient = backward(x, w, geometry, out, dout)
        return dx, dw, sum_channels(dout), no_gradient

    return custom("ConvolutionData", out_shape, backward_bias if bias else backward, variant=(strides, padding, bias))


@cache
def norm_backward() -> ops.Custom:
    return custom("NormBackward", lambda z, gamma, *_: (z, gamma, gamma, gamma), outputs=4)


@cache
def batch_norm() -> ops.Custom:
    """f(z, gamma, beta, slope, moving mean, moving variance, settings) -> activation, and the batch's mean, its
    inverse deviation, and the new moving mean and variance, which have no gradient."""
    backward = norm_backward()

    def bprop(z, gamma, beta, slope, moving_mean, moving_variance, settings, out, dout):
        dz, dgamma, dbeta, dslope = backward(z, gamma, beta, slope, out[1], out[2], dout[0], settings)
        return (
            dz,
            dgamma,
            dbeta,
            dslope,
            ops.zeros_like(moving_mean),
            ops.zeros_like(moving_variance),
            ops.zeros_like(settings),
        )

    return custom("BatchNormForward", lambda z, gamma, *_: (z, gamma, gamma, gamma, gamma), bprop, outputs=5)


@cache
def instance_norm() -> ops.Custom:
    """f(z, gamma, beta, slope, settings) -> activation, and mean and inverse deviation (N, C), without gradient."""
    backward = norm_backward()

    def bprop(z, gamma, beta, slope, settings, out, dout):
        dz, dgamma, dbeta, dslope = backward(z, gamma, beta, slope, out[1], out[2], dout[0], settings)
        return dz, dgamma, dbeta, dslope, ops.zeros_like(settings)

    return custom("InstanceNormForward", lambda z, *_: (z, z[:2], z[:2]), bprop, outputs=3)


@cache
def activation() -> ops.Custom:
    """f(x, slope) -> x where x > 0 else slope * x. The slope (1,) is a constant."""
    backward = custom("ActivationBackward", lambda x, slope, dy: x)

    def bprop(x, slope, out, dout):
        return backward(x, slope, dout), ops.zeros_like(slope)

    return custom("ActivationForward", lambda x, slope: x, bprop)


def max_pool(kernel: tuple[int, ...], strides: tuple[int, ...], padding: tuple[int, ...]) -> Callable:
    """Returns f(x, settings) -> the maxima of x, padding being the same on both sides of an axis."""
    backward = custom("MaxPoolBackward", lambda x, *_: x)

    def out_shape(x, settings):
        return (x[0], x[1], *[(x[i + 2] + 2 * padding[i] - kernel[i]) // strides[i] + 1 for i in range(len(kernel))])

    def bprop(x, settings, out, dout):
        return backward(x, out, dout, settings), ops.zeros_like(settings)

    return custom("MaxPoolForward", out_shape, bprop, variant=(kernel, strides, padding))


def mean_pool(kernel: tuple[int, ...], strides: tuple[int, ...]) -> Callable:
    """Returns f(x, settings) -> the means of x, without padding."""
    backward = custom("MeanPoolBackward", lambda x, *_: x)

    def out_shape(x, settings):
        return (x[0], x[1], *[(x[i + 2] - kernel[i]) // strides[i] + 1 for i in range(len(kernel))])

    def bprop(x, settings, out, dout):
        return backward(x, dout, settings), ops.zeros_like(settings)

    return custom("MeanPoolForward", out_shape, bprop, variant=(kernel, strides))


@cache
def spatial_mean() -> ops.Custom:
    """f(x) -> its means (N, C, 1...)."""
    backward = custom("BroadcastForward", lambda dy, x: x, variant="gradient")

    def bprop(x, out, dout):
        return (backward(dout, x) * (out.size / x.size),)

    return custom("SpatialMeanForward", lambda x: (*x[:2], *[1 for _ in x[2:]]), bprop)


@cache
def broadcast() -> ops.Custom:
    """f(x (N, C, 1...), like (N, any, *S)) -> x at every place, (N, C, *S)."""
    backward = custom("SpatialMeanForward", lambda dy: (*dy[:2], *[1 for _ in dy[2:]]), variant="gradient")

    def bprop(x, like, out, dout):
        return backward(dout) * (out.size / x.size), ops.zeros_like(like)

    return custom("BroadcastForward", lambda x, like: (*x[:2], *like[2:]), bprop)


@cache
def scale() -> ops.Custom:
    """f(x, gate (N, C, 1...) or (N, 1, *S)) -> x * gate."""
    backward = custom("ScaleForward", lambda dy, gate: dy, variant="gradient")
    backward_gate = custom("ScaleGate", lambda dy, x, gate: gate)

    def bprop(x, gate, out, dout):
        return backward(dout, gate), backward_gate(dout, x, gate)

    return custom("ScaleForward", lambda x, gate: x, bprop)


@cache
def upsample(mode: str, factor: int) -> ops.Custom:
    """f(x) -> x at `factor` times the size, "Linear" between voxel centres or of the "Nearest" voxel."""
    backward = custom(f"{mode}Backward", lambda dy: (*dy[:2], *[length // factor for length in dy[2:]]), variant=factor)

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom(f"{mode}Forward", lambda x: (*x[:2], *[length * factor for length in x[2:]]), bprop, variant=factor)


def spread_shape(factor: int) -> Callable:
    """The `out_shape` of what ends a convolution of up-sampled features."""
    return lambda z, *_: (z[0], z[1] // 9, *[length * factor for length in z[2:]])


@cache
def spread_taps(factor: int) -> ops.Custom:
    """f(z (N, 9 C, y, x)) -> (N, C, y, x) at `factor` times the size: the end of a 3 x 3 convolution of linearly
    up-sampled features, whose products by tap and channel are `z` (source/upsampled_convolution.cc)."""
    backward = custom(
        "TapsBackward", lambda dy: (dy[0], 9 * dy[1], *[length // factor for length in dy[2:]]), variant=factor
    )

    def bprop(z, out, dout):
        return (backward(dout),)

    return custom("TapsForward", spread_shape(factor), bprop, variant=factor)


@cache
def finished_taps(factor: int) -> ops.Custom:
    """f(z, constants (3, C)) -> what `spread_taps` makes of z, and what comes after it (source/epilogue.h). Without
    gradients."""
    return custom("TapsForward", spread_shape(factor), no_gradients, variant=("finished", factor))


@cache
def join() -> ops.Custom:
    """f(x_1, ..., x_k) -> all along the channels. Its gradient is that of `cells.Concat`."""
    return custom("Join", lambda *x: (x[0][0], sum(shape[1] for shape in x), *x[0][2:]))


@cache
def split() -> ops.Custom:
    """f(dy, markers (C_1,), ..., (C_k,)) -> dx_1, ..., dx_k, the gradients of what `join` joined."""
    return ops.Custom(
        f"{library()}:Split",
        out_dtype=lambda dy, *channels: channels,
        func_type="aot",
        out_shape=lambda dy, *channels: tuple((dy[0], c[0], *dy[2:]) for c in channels),
    )


@cache
def enter() -> ops.Custom:
    """f(plain x) -> x channels-last."""
    backward = custom("Leave", lambda dy: dy, variant="gradient")

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom("Enter", lambda x: x, bprop)


@cache
def leave() -> ops.Custom:
    """f(channels-last x) -> plain x."""
    backward = custom("Enter", lambda dy: dy, variant="gradient")

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom("Leave", lambda x: x, bprop)
