"""The kernels give what MindSpore's own cells and PyTorch give, outputs and gradients."""

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import assert_close, load, outputs_and_gradients, randomise
from mindspore import nn

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import cells
from kidneyseg.nets.layers import blocks, norm
from kidneyseg.nets.layers.attention import SqueezeExcite
from kidneyseg.nets.resnet import PaddedMaxPool

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")

ONE_AXIS = {2: (1, 2), 3: (1, 2, 2)}
SPATIAL = {2: (9, 11), 3: (5, 7, 6)}
CELLS = {  # name -> (input channels, cell for a number of spatial axes)
    "conv": (3, lambda dims: blocks.conv(dims, 3, 20)),
    "conv, one channel, kernel 5": (1, lambda dims: blocks.conv(dims, 1, 16, 5)),
    "conv, stride 2": (3, lambda dims: blocks.conv(dims, 3, 8, 3, stride=2)),
    "conv, kernel 2, stride 2": (16, lambda dims: blocks.conv(dims, 16, 8, 2, stride=2)),
    "conv, dilation 2": (16, lambda dims: blocks.conv(dims, 16, 8, 3, dilation=2)),
    "conv, kernel 1": (50, lambda dims: blocks.conv(dims, 50, 3, 1, bias=False)),
    "conv, same": (4, lambda dims: blocks.CONV[dims](4, 5, 3, pad_mode="same", has_bias=True)),
    "transposed": (16, lambda dims: blocks.up_conv(dims, 16, 8)),
    "transposed, no bias": (16, lambda dims: blocks.up_conv(dims, 16, 8, bias=False)),
    "transposed, overlapping": (4, lambda dims: blocks.CONV_TRANSPOSE[dims](4, 6, 3, 2, "pad", 1, has_bias=True)),
    "batch norm": (3, lambda dims: norm.BatchNorm(3)),
    "instance norm": (16, lambda dims: norm.InstanceNorm(16)),
    "conv, batch norm, relu": (3, lambda dims: blocks.ConvNormAct(dims, 3, 16)),
    "conv, batch norm, prelu": (3, lambda dims: blocks.ConvNormAct(dims, 3, 16, act="prelu")),
    "conv, instance norm, leaky": (3, lambda dims: blocks.ConvNormAct(dims, 3, 20, norm="instance", act="leaky_relu")),
    "conv, relu": (3, lambda dims: blocks.ConvNormAct(dims, 3, 16, norm=None)),
    "leaky relu": (5, lambda dims: nn.LeakyReLU(0.1)),
    "prelu": (5, lambda dims: nn.PReLU(5, 0.2)),
    "max pool": (5, blocks.max_pool),
    "max pool, overlapping": (5, lambda dims: blocks.MAX_POOL[dims](3, 2)),
    "upsample": (3, lambda dims: blocks.Upsample(dims, 4)),
    "squeeze and excitation": (5, lambda dims: SqueezeExcite(dims, 5)),
    "conv, kernel and stride of one axis 1": (3, lambda dims: blocks.conv(dims, 3, 8, ONE_AXIS[dims], ONE_AXIS[dims])),
    "transposed, one axis kept": (16, lambda dims: blocks.up_conv(dims, 16, 8, factor=ONE_AXIS[dims])),
    "norm, leaky, conv": (3, lambda dims: blocks.NormActConv(dims, 3, 8, act="leaky_relu")),
    "double conv": (3, lambda dims: blocks.double_conv(dims, 3, 8, 16, "batch")),
}


@pytest.mark.parametrize("dims, batch", [(2, 1), (3, 2)])
@pytest.mark.parametrize("name", CELLS)
def test_same_as_mindspore(name, dims, batch):
    channels, make = CELLS[name]
    rng = np.random.default_rng(0)
    stock, ours = make(dims), make(dims)
    load(ours, randomise(stock, rng))
    accelerated = cpu_kernels.accelerate(ours)
    assert accelerated is not ours, "nothing was swapped"
    x = rng.standard_normal((batch, channels, *SPATIAL[dims])).astype(np.float32)
    assert_close(outputs_and_gradients(accelerated, x), outputs_and_gradients(stock, x))


@pytest.mark.parametrize("factor", [2, 3])
def test_repeated_voxels(factor):
    stock, ours = blocks.Repeat3D(factor), cpu_kernels.accelerate(blocks.Repeat3D(factor))
    x = np.random.default_rng(0).standard_normal((2, 5, *SPATIAL[3])).astype(np.float32)
    found = outputs_and_gradients(ours, x)
    assert_close(found, outputs_and_gradients(stock, x))
    assert np.array_equal(found["output"], x.repeat(factor, 2).repeat(factor, 3).repeat(factor, 4))


@pytest.mark.parametrize("make", [PaddedMaxPool, lambda: nn.AvgPool2d(2, 2), lambda: nn.AvgPool2d((3, 2), (2, 1))])
def test_other_poolings(make):
    x = np.random.default_rng(0).uniform(0.1, 1, (2, 20, 17, 22)).astype(np.float32)
    ours = cpu_kernels.accelerate(make())
    assert isinstance(ours, cells.ChannelsLast)
    assert_close(outputs_and_gradients(ours, x), outputs_and_gradients(make(), x))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MaxPool2d(3, 2, "same"),
        lambda: nn.MaxPool2d(3, 2, "pad", 1),
        lambda: nn.AvgPool2d(3, 2, "pad", 1),
        lambda: nn.AvgPool2d(2, 2, ceil_mode=True),
    ],
)
def test_poolings_without_kernel_keep_their_place(make):
    pool = make()
    assert cpu_kernels.accelerate(pool) is pool


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "prelu", None])
@pytest.mark.parametrize("dims, channels, kernel", [(2, 3, 3), (3, 3, 3), (2, 40, 3), (3, 40, 3), (2, 40, 1)])
def test_inference_uses_the_moving_statistics(dims, channels, kernel, act):
    rng = np.random.default_rng(0)
    stock, ours = (blocks.ConvNormAct(dims, channels, 21, kernel, act=act) for _ in range(2))
    load(ours, randomise(stock, rng))
    x = ms.Tensor(rng.standard_normal((2, channels, *[3 * n for n in SPATIAL[dims]])), ms.float32)
    found, expected = (cell.set_train(False)(x).asnumpy() for cell in (cpu_kernels.accelerate(ours), stock))
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_no_gradients_out_of_training():
    ms.set_context(mode=ms.PYNATIVE_MODE)  # an earlier test may have left graph mode, which compiles no lambda
    ours = cpu_kernels.accelerate(blocks.ConvNormAct(2, 3, 8)).set_train(False)
    with pytest.raises(RuntimeError, match=r"call network.set_train\(True\)"):
        ms.grad(lambda x: ours(x).sum())(ms.ops.ones((1, 3, 8, 8), ms.float32))


@pytest.mark.parametrize("stride, dilation, kernel, padding", [(1, 1, 3, 1), (2, 1, 3, 1), (1, 2, 3, 2), (2, 2, 5, 3)])
@pytest.mark.parametrize("dims", [2, 3])
def test_convolution_is_pytorchs(dims, stride, dilation, kernel, padding):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    cell = cpu_kernels.accelerate(blocks.CONV[dims](5, 19, kernel, stride, "pad", padding, dilation, has_bias=True))
    values = randomise(cell, rng)
    x = rng.standard_normal((1, 5, *[length + 6 for length in SPATIAL[dims]])).astype(np.float32)
    found = outputs_and_gradients(cell, x)

    tensors = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in {"input": x, **values}.items()}
    apply = torch.nn.functional.conv2d if dims == 2 else torch.nn.functional.conv3d
    out = apply(tensors["input"], tensors["weight"], tensors["bias"], stride, padding, dilation)
    noise = np.random.default_rng(7).standard_normal(tuple(out.shape)).astype(np.float32)
    (out * torch.from_numpy(noise)).sum().backward()
    assert_close(found, {"output": out.detach().numpy(), **{name: t.grad.numpy() for name, t in tensors.items()}})


def test_gradient_is_the_slope():
    """Against differences of the loss itself, where no kink of the activation lies between the two points."""
    rng = np.random.default_rng(2)
    cell = cpu_kernels.accelerate(
        nn.SequentialCell(
            blocks.ConvNormAct(3, 2, 8, norm="instance", act=None), blocks.up_conv(3, 8, 3), blocks.Upsample(3)
        )
    )
    randomise(cell, rng)
    x = rng.standard_normal((1, 2, 4, 5, 6)).astype(np.float32)
    noise = np.random.default_rng(7).standard_normal((1, 3, 16, 20, 24))
    direction = rng.standard_normal(x.shape).astype(np.float32)

    def loss(x):
        return (cell(ms.Tensor(x, ms.float32)).asnumpy().astype(np.float64) * noise).sum()

    step = 1e-2
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert (outputs_and_gradients(cell, x)["input"] * direction).sum() == pytest.approx(slope, rel=2e-3)


def test_norm_of_values_far_from_zero():
    """A mean 1000 times the deviation costs a naive sum of squares all its digits."""
    x = (1000 + np.random.default_rng(3).standard_normal((2, 16, 8, 8, 8))).astype(np.float32)
    y = cpu_kernels.accelerate(norm.InstanceNorm(16)).set_train(True)(ms.Tensor(x)).asnumpy()
    wide = x.astype(np.float64)
    expected = (wide - wide.mean((2, 3, 4), keepdims=True)) / np.sqrt(wide.var((2, 3, 4), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=2e-3)


def test_shapes_may_change_all_the_time():
    rng = np.random.default_rng(4)
    stock, ours = (blocks.ConvNormAct(2, 3, 9) for _ in range(2))
    load(ours, randomise(stock, rng))
    ours = cpu_kernels.accelerate(ours)
    for height, width in [(8, 8), (3, 17), (8, 8), (16, 5), (3, 17), (1, 1), (8, 8)]:
        x = rng.standard_normal((2, 3, height, width)).astype(np.float32)
        assert_close(outputs_and_gradients(ours, x), outputs_and_gradients(stock, x), tolerance=2e-4)


def test_a_thousand_steps_leak_nothing():
    psutil = pytest.importorskip("psutil")
    cell = cpu_kernels.accelerate(blocks.double_conv(2, 4, 16, 16, "batch")).set_train(True)
    step = ms.jit(ms.value_and_grad(mean_of(cell), None, cell.trainable_params()))
    x = ms.Tensor(np.ones((2, 4, 32, 32)), ms.float32)

    def run(steps):
        for _ in range(steps):
            value = step(x)[0]
        assert np.isfinite(value.asnumpy())
        return psutil.Process().memory_info().rss

    before = run(200)
    assert run(1000) - before < 16 * 2**20


def mean_of(cell: nn.Cell):
    """MindSpore's graph parser wants a named function."""

    def loss(x):
        return cell(x).mean()

    return loss
