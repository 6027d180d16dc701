"""Blocks against PyTorch with the same weights, in graph mode: values and gradients."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg.nets.layers.blocks import (
    Concat,
    ConvNormAct,
    Upsample,
    check_size,
    conv,
    double_conv,
    make_act,
    max_pool,
    up_conv,
)

torch = pytest.importorskip("torch")
F = torch.nn.functional

CONV = {2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {2: F.conv_transpose2d, 3: F.conv_transpose3d}
LINEAR = {2: "bilinear", 3: "trilinear"}
SIZE = {2: (8, 6), 3: (4, 6, 8)}


def random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same(cell: ms.nn.Cell, reference, x: np.ndarray) -> None:
    """`reference(x, parameters)` in torch must give the output of `cell`, and the gradients of a random mix of it."""
    for seed, parameter in enumerate(cell.trainable_params()):
        parameter.set_data(ms.Tensor(random(parameter.shape, seed)))
    weights = cell.trainable_params()
    cell.set_train()
    mix = random(cell(ms.Tensor(x)).shape, 99)
    mix_ms = ms.Tensor(mix)

    def forward(x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        y = cell(x)
        return (y * mix_ms).sum(), y

    if weights:
        (_, y), (dx, dweights) = ms.jit(ms.value_and_grad(forward, 0, weights, has_aux=True))(ms.Tensor(x))
    else:
        (_, y), dx = ms.jit(ms.value_and_grad(forward, 0, None, has_aux=True))(ms.Tensor(x))
        dweights = ()
    x = torch.tensor(x, requires_grad=True)
    p = {weight.name: torch.tensor(weight.asnumpy(), requires_grad=True) for weight in weights}
    expected = reference(x, p)
    (expected * torch.tensor(mix)).sum().backward()
    for found, wanted in zip([y, dx, *dweights], [expected, x.grad, *[p[weight.name].grad for weight in weights]]):
        wanted = wanted.detach().numpy()
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("act", ["relu", "leaky_relu", None])
@pytest.mark.parametrize("dims", [2, 3])
def test_conv_norm_act(dims, act):
    activation = {"relu": F.relu, "leaky_relu": F.leaky_relu, None: lambda x: x}[act]

    def reference(x, p):
        x = CONV[dims](x, p["conv.weight"], padding=1)
        return activation(F.batch_norm(x, None, None, p["norm.gamma"], p["norm.beta"], training=True))

    assert_same(ConvNormAct(dims, 3, 5, act=act), reference, random((2, 3, *SIZE[dims]), 9))


@pytest.mark.parametrize("dims", [2, 3])
def test_conv_norm_act_with_instance_norm_stride_and_dilation(dims):
    def reference(x, p):
        x = CONV[dims](x, p["conv.weight"], stride=2, padding=2, dilation=2)
        return F.relu(F.instance_norm(x, weight=p["norm.gamma"], bias=p["norm.beta"]))

    cell = ConvNormAct(dims, 3, 5, stride=2, dilation=2, norm="instance")
    assert_same(cell, reference, random((2, 3, *SIZE[dims]), 9))


@pytest.mark.parametrize("dims", [2, 3])
def test_conv_without_norm_has_a_bias_and_prelu_one_slope_per_channel(dims):
    def reference(x, p):
        return F.prelu(CONV[dims](x, p["conv.weight"], p["conv.bias"], padding=2), p["act.w"])

    assert_same(ConvNormAct(dims, 3, 5, kernel=5, norm=None, act="prelu"), reference, random((2, 3, *SIZE[dims]), 9))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
def test_up_conv(dims, bias):
    def reference(x, p):
        return CONV_TRANSPOSE[dims](x, p["weight"], p.get("bias"), stride=2)

    assert_same(up_conv(dims, 4, 3, bias), reference, random((2, 4, *SIZE[dims]), 9))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("dims", [2, 3])
def test_upsample(dims, factor):
    def reference(x, p):
        return F.interpolate(x, scale_factor=factor, mode=LINEAR[dims], align_corners=False)

    assert_same(Upsample(dims, factor), reference, random((2, 3, *SIZE[dims]), 9))


def test_max_pool_and_concat():
    x = random((1, 2, 8, 8), 9)
    pooled = max_pool(2, 4)(ms.Tensor(x))
    assert np.array_equal(pooled.asnumpy(), x.reshape(1, 2, 2, 4, 2, 4).max((3, 5)))
    assert np.array_equal(Concat()((ms.Tensor(x), ms.Tensor(2 * x))).asnumpy(), np.concatenate((x, 2 * x), 1))


@pytest.mark.parametrize("dims", [2, 3])
def test_initial_weights_keep_the_variance(dims):
    ms.set_seed(1)
    size = {2: (32, 32), 3: (16, 16, 16)}[dims]
    x = ms.Tensor(random((1, 32, *size), 9))
    assert 0.8 < up_conv(dims, 32, 32)(x).asnumpy().std() < 1.25
    # He: the mean square after convolution and ReLU is that of the input (borders see zeros, hence the low bound).
    assert 0.7 < np.square(ms.ops.relu(conv(dims, 32, 32)(x)).asnumpy()).mean() < 1.25


def test_double_conv_passes_through_the_middle_channels():
    first, second = double_conv(3, 1, 2, 5, "batch")
    assert first.conv.weight.shape == (2, 1, 3, 3, 3) and second.conv.weight.shape == (5, 2, 3, 3, 3)


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'swish'"):
        make_act("swish", 4)


def test_size_that_cannot_be_halved_is_refused():
    check_size((16, 8), 8)
    with pytest.raises(ValueError, match="multiple of 8.*16, 12"):
        check_size((16, 12), 8)
