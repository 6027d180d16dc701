"""Cells for an Ascend: the same results, gradients and parameters as MindSpore's, here in float32 on the CPU."""

from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import assert_close, load, outputs_and_gradients, randomise
from mindspore import nn

from kidneyseg import ascend_cells, device, nets
from kidneyseg.errors import InputError
from kidneyseg.nets.layers.blocks import max_pool, up_conv
from kidneyseg.recipe import Network
from kidneyseg.training.loop import Loop

SHAPE = (2, 3, 4, 6, 8)


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    device.use("CPU")
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: up_conv(3, 3, 5),
        lambda: up_conv(3, 3, 5, bias=False),
        lambda: up_conv(3, 3, 5, factor=(1, 2, 3)),
        lambda: max_pool(3),
    ],
    ids=["up-convolution", "without bias", "a factor per axis", "max pooling"],
)
def test_one_cell_in_the_place_of_another(make):
    rng = np.random.default_rng(0)
    stock, other = nn.SequentialCell(make()), nn.SequentialCell(make())
    values = randomise(stock, rng)
    before = {parameter.name: id(parameter) for parameter in other.get_parameters()}
    replaced = ascend_cells.replace(other, ascend_cells.simpler)
    assert type(replaced[0]) is not type(stock[0])
    assert {parameter.name: id(parameter) for parameter in replaced.get_parameters()} == before
    load(replaced, values)
    x = rng.standard_normal(SHAPE).astype(np.float32)
    assert_close(outputs_and_gradients(replaced, x), outputs_and_gradients(stock, x), 1e-5)


@pytest.mark.parametrize(
    "cell",
    [
        nn.Conv3dTranspose(3, 5, 3, 2, pad_mode="valid"),  # imprints overlap
        nn.MaxPool3d(3, 2),
        nn.MaxPool3d(2, 2, pad_mode="same"),
        nn.Conv2dTranspose(3, 5, 2, 2, pad_mode="valid"),
    ],
)
def test_what_cannot_be_replaced_stays(cell):
    assert ascend_cells.replace(cell, ascend_cells.simpler) is cell


@pytest.mark.parametrize("name", ["unet3d", "vnet3d", "resunet3d"])
def test_a_whole_network_in_float32(name, mode):
    if ms.get_context("mode") != ms.GRAPH_MODE:
        pytest.skip("once is enough")
    rng = np.random.default_rng(0)
    spec = Network(name=name, width=4, depth=3)
    stock, other = nets.build_network(spec, 2), nets.build_network(spec, 2)
    values = randomise(stock, rng)
    replaced = ascend_cells.replace(other, ascend_cells.simpler)
    kinds = {type(cell) for _, cell in replaced.cells_and_names()}
    assert not kinds & {nn.Conv3dTranspose, nn.MaxPool3d} and ascend_cells.UpConvolution3D in kinds
    load(replaced, values)
    x = rng.standard_normal((2, 1, 8, 8, 8)).astype(np.float32)
    assert_close(outputs_and_gradients(replaced, x), outputs_and_gradients(stock, x))


def network(name):
    return nets.build_network(Network(name=name, width=4, depth=2), 2)


def test_a_network_for_ascend_computes_in_float16_with_float32_logits():
    fitted = device.prepare_network(network("unet3d"), "float16", "Ascend")
    assert {type(cell) for cell in fitted.up} == {ascend_cells.UpConvolution3D}
    assert type(fitted.pool) is ascend_cells.MaxPool3D
    assert all(cell.get_flags()["fp16"] for _, cell in fitted.cells_and_names() if isinstance(cell, nn.Conv3d))
    assert {parameter.name for parameter in fitted.get_parameters()} == {
        parameter.name for parameter in network("unet3d").get_parameters()
    }
    assert fitted(ms.Tensor(np.zeros((1, 1, 8, 8, 8)), ms.float32)).dtype == ms.float32


def test_float32_on_ascend_is_for_two_dimensions():
    assert device.prepare_network(network("unet2d"), "float32", "Ascend")
    with pytest.raises(InputError, match="float16, all that MindSpore documents .* 3-D convolutions"):
        device.prepare_network(network("unet3d"), "float32", "Ascend")


@pytest.mark.parametrize("name", ["unet2d", "unet3d"])
def test_bfloat16_on_ascend_is_refused(name):
    with pytest.raises(InputError, match="found bfloat16"):
        device.prepare_network(network(name), "bfloat16", "Ascend")


def test_training_advises_float32_only_where_it_is_documented(monkeypatch):
    flat, deep = (SimpleNamespace(network=network(name)) for name in ("unet2d", "unet3d"))
    assert "float32" in Loop._more_precise(deep)
    monkeypatch.setattr(ms, "get_context", lambda name: "Ascend")
    assert "float32" in Loop._more_precise(flat) and not Loop._more_precise(deep)
