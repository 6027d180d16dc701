"""Whole networks on the kernels: same numbers, same parameters, in both modes of MindSpore."""

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import assert_close, outputs_and_gradients
from mindspore import nn, ops

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import cells
from kidneyseg.cpu_kernels.fused_cells import FusedUpConvolution
from kidneyseg.nets.isensee3d import Isensee3D
from kidneyseg.nets.layers import blocks
from kidneyseg.nets.unet3d import UNet3D
from kidneyseg.nets.unet3plus import UNet3Plus
from kidneyseg.nets.unetpp import UNetPP
from kidneyseg.nets.vnet3d import VNet3D

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")

NETWORKS = {
    "unet3d": (lambda: UNet3D(1, 3, width=4, depth=3), (2, 1, 8, 16, 16)),
    "vnet3d": (lambda: VNet3D(2, 3, width=4, depth=3), (2, 2, 8, 16, 16)),
    "unet3plus": (lambda: UNet3Plus(1, 3, width=4, depth=3, deep_supervision=True), (2, 1, 32, 24)),
    "unetpp": (lambda: UNetPP(1, 3, width=4, depth=3), (2, 1, 32, 24)),
    "attention": (lambda: UNet3D(1, 3, width=4, depth=2, residual=True, attention=True), (2, 1, 8, 8, 8)),
    "dropout": (lambda: Isensee3D(1, 3, width=4, depth=2), (2, 1, 8, 8, 8)),
}


class Pooled(nn.Cell):
    """A network of somebody else: what it does between its cells needs channels-first tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = blocks.double_conv(2, 1, 4, 8, "batch")
        self.out = nn.Conv2d(8, 3, 1, has_bias=True, pad_mode="valid")

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        x = self.stem(x)
        return self.out(x * x.mean((2, 3), keep_dims=True))


def pair(make) -> tuple[nn.Cell, nn.Cell]:
    """The same network twice, as it is and accelerated."""
    made = []
    for _ in range(2):
        ms.set_seed(1)
        made.append(make())
    return made[0], cpu_kernels.accelerate(made[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_network_and_its_compiled_step(name):
    make, shape = NETWORKS[name]
    x = ms.Tensor(np.random.default_rng(0).standard_normal(shape), ms.float32)
    losses = []
    for network in pair(make):
        network.set_train(True)

        def loss(x):
            out = network(x)  # noqa: B023 (called before the loop goes on)
            logits = out[0] if isinstance(out, tuple) else out
            return (logits * logits).mean()

        gradient = ms.value_and_grad(loss, None, network.trainable_params())
        plain, compiled = gradient(x)[0], ms.jit(gradient)
        values = [float(plain.asnumpy())]
        optimiser = nn.SGD(network.trainable_params(), learning_rate=0.05)
        for _ in range(2):
            value, gradients = compiled(x)
            optimiser(gradients)
            values.append(float(value.asnumpy()))
        network.set_train(False)
        values += [float(forward(x).asnumpy().std()) for forward in (network, ms.jit(network))]
        losses.append(values)
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    assert losses[0][2] != losses[0][1], "the step changed nothing"


@pytest.mark.parametrize("norm", ["batch", None])  # without norm, convolutions have a bias
def test_a_u_does_not_concatenate_its_features(norm):
    stock, ours = pair(lambda: UNet3D(1, 3, width=4, depth=3, norm=norm))
    convolutions = [cell for _, cell in ours.cells_and_names() if isinstance(cell, FusedUpConvolution)]
    assert len(convolutions) == 2 and not any(isinstance(cell, cells.Concat) for _, cell in ours.cells_and_names())
    x = np.random.default_rng(0).standard_normal((1, 1, 8, 8, 12), np.float32)
    assert_close(outputs_and_gradients(ours, x), outputs_and_gradients(stock, x))


def test_a_foreign_network_is_given_channels_first_tensors():
    stock, ours = pair(Pooled)
    x = ms.Tensor(np.random.default_rng(0).standard_normal((2, 1, 9, 13)), ms.float32)
    np.testing.assert_allclose(ours.set_train(True)(x).asnumpy(), stock.set_train(True)(x).asnumpy(), atol=1e-5)


def test_checkpoints_are_interchangeable(tmp_path):
    stock, ours = pair(NETWORKS["vnet3d"][0])
    names = [p.name for p in stock.get_parameters()]
    assert sorted(p.name for p in ours.get_parameters()) == sorted(names)
    for parameter in ours.get_parameters():
        parameter.set_data(ops.ones_like(parameter) * 0.5)
    ms.save_checkpoint(ours, str(tmp_path / "ours.ckpt"))
    missing, unused = ms.load_param_into_net(stock, ms.load_checkpoint(str(tmp_path / "ours.ckpt")), strict_load=True)
    assert not missing and not unused
    assert all((p.asnumpy() == 0.5).all() for p in stock.get_parameters())


def test_other_precisions_are_left_alone():
    network = UNet3D(1, 3, width=4, depth=2).to_float(ms.float16)
    assert cpu_kernels.accelerate(network) is network


@pytest.mark.skipif(not cpu_kernels.has_bfloat16(), reason="no AMX")
def test_bfloat16_is_close_to_float32():
    make, shape = NETWORKS["unet3d"]
    stock, rounding = make(), make()
    ms.load_param_into_net(rounding, {p.name: ms.Parameter(p.value().copy()) for p in stock.get_parameters()})
    x = ms.Tensor(np.random.default_rng(0).standard_normal(shape), ms.float32)
    found, expected = cpu_kernels.accelerate(rounding, precision="bfloat16")(x).asnumpy(), stock(x).asnumpy()
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
