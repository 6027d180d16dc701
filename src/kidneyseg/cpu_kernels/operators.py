"""The C++ kernels as differentiable MindSpore operators; those of convolutions are in convolution_operators.py.

All tensors are float32. Activations have the shape (N, C, *spatial) but lie channels-last in memory (source/kernel.h):
``to_channels_last`` and ``to_channels_first`` convert, and between them only these operators and element-wise ones may
touch them. signatures.py has the order of the tensors of each kernel.

MindSpore's contract for ``ops.Custom(func_type="aot")``: shapes and types of the outputs come from Python functions of
the inputs' ones; a ``bprop`` receives all inputs, the output and its gradient and returns one gradient per input, also
for the settings. What an operator shall remember for its backward pass must be an output.

The peak of a training step lies in its backward pass. A tensor lives until the last operator it is an input of has
run, so what is needed for its shape alone is replaced by a ``marker``; and MindSpore starts all operators whose inputs
are there at once, outputs allocated, so that the gradient of a convolution's input is held back until that of its
weights has been computed and the input itself is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import mindspore as ms
from mindspore import ops

from kidneyseg.cpu_kernels import signatures
from kidneyseg.cpu_kernels.build import library


def custom(name: str, out_shape: Callable, bprop: Callable | None = None, variant: object = None) -> ops.Custom:
    """Returns the kernel ``name`` as an operator with float32 outputs of the shapes ``out_shape(*input shapes)``.

    MindSpore takes operators with equal attributes for one and uses the ``out_shape`` and ``bprop`` of the first it
    met: operators of the same kernel with different functions must differ in ``variant``.
    """
    outputs = signatures.outputs(name)
    out_dtype = ms.float32 if outputs == 1 else (ms.float32,) * outputs
    operator = ops.Custom(f"{library()}:{name}", out_shape=out_shape, out_dtype=out_dtype, func_type="aot", bprop=bprop)
    operator.add_prim_attr("variant", repr(variant))
    return operator


def integers(*values: int) -> ms.Tensor:
    return ms.Tensor(list(values), ms.int64)


def marker(*lengths: int) -> ms.Tensor:
    """A small tensor whose shape tells an operator what it must know of the shape of another."""
    return ops.zeros(lengths, ms.float32)


def norm_settings(epsilon: float, momentum: float, training: bool, learn_slope: bool) -> ms.Tensor:
    """The settings of norms, in the order of ``Setting`` in source/norm.cc.

    ``momentum`` is PyTorch's: the weight of the batch in the moving statistics.
    """
    return ms.Tensor([epsilon, momentum, training, learn_slope], ms.float32)


@cache
def norm_backward() -> ops.Custom:
    return custom("NormBackward", lambda z, gamma, *_: (z, gamma, gamma, gamma))


@cache
def batch_norm() -> ops.Custom:
    """f(z, gamma, beta, slope, moving mean, moving variance, settings) -> activation, and mean, inverse deviation, new
    moving mean and new moving variance (C,), which have no gradient."""
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

    return custom("BatchNormForward", lambda z, gamma, *_: (z, gamma, gamma, gamma, gamma), bprop)


@cache
def instance_norm() -> ops.Custom:
    """f(z, gamma, beta, slope, settings) -> activation, and mean and inverse deviation (N, C), without gradient."""
    backward = norm_backward()

    def bprop(z, gamma, beta, slope, settings, out, dout):
        dz, dgamma, dbeta, dslope = backward(z, gamma, beta, slope, out[1], out[2], dout[0], settings)
        return dz, dgamma, dbeta, dslope, ops.zeros_like(settings)

    return custom("InstanceNormForward", lambda z, *_: (z, z[:2], z[:2]), bprop)


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


def average_pool(kernel: tuple[int, ...], strides: tuple[int, ...]) -> Callable:
    """Returns f(x, settings) -> the means of x, without padding."""
    backward = custom("AveragePoolBackward", lambda x, *_: x)

    def out_shape(x, settings):
        return (x[0], x[1], *[(x[i + 2] - kernel[i]) // strides[i] + 1 for i in range(len(kernel))])

    def bprop(x, settings, out, dout):
        return backward(x, dout, settings), ops.zeros_like(settings)

    return custom("AveragePoolForward", out_shape, bprop, variant=(kernel, strides))


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
    backward_gate = custom("ScaleBackwardGate", lambda dy, x, gate: gate)

    def bprop(x, gate, out, dout):
        return backward(dout, gate), backward_gate(dout, x, gate)

    return custom("ScaleForward", lambda x, gate: x, bprop)


@cache
def upsample(mode: str, factor: int) -> ops.Custom:
    """f(x) -> x at ``factor`` times the size, "Linear" between voxel centres or of the "Nearest" voxel."""
    backward = custom(
        f"Upsample{mode}Backward", lambda dy: (*dy[:2], *[length // factor for length in dy[2:]]), variant=factor
    )

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom(
        f"Upsample{mode}Forward", lambda x: (*x[:2], *[length * factor for length in x[2:]]), bprop, variant=factor
    )


@cache
def concat() -> ops.Custom:
    """f(x_1, ..., x_k) -> their concatenation along the channels. Its gradient is that of ``cells.Concat``."""
    return custom("ConcatForward", lambda *x: (x[0][0], sum(shape[1] for shape in x), *x[0][2:]))


@cache
def concat_backward() -> ops.Custom:
    """f(dy, markers (C_1,), ..., (C_k,)) -> dx_1, ..., dx_k, the gradients of the inputs of ``concat``."""
    return ops.Custom(
        f"{library()}:ConcatBackward",
        out_dtype=lambda dy, *channels: channels,
        func_type="aot",
        out_shape=lambda dy, *channels: tuple((dy[0], c[0], *dy[2:]) for c in channels),
    )


@cache
def to_channels_last() -> ops.Custom:
    """f(channels-first x) -> x channels-last."""
    backward = custom("ToChannelsFirst", lambda dy: dy, variant="gradient")

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom("ToChannelsLast", lambda x: x, bprop)


@cache
def to_channels_first() -> ops.Custom:
    """f(channels-last x) -> x channels-first."""
    backward = custom("ToChannelsLast", lambda dy: dy, variant="gradient")

    def bprop(x, out, dout):
        return (backward(dout),)

    return custom("ToChannelsFirst", lambda x: x, bprop)
