"""A 3 x 3 convolution of up-sampled features whose products are taken before the up-sampling."""

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import assert_close, load, outputs_and_gradients, randomise
from mindspore import nn

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import cells, fused_cells
from kidneyseg.nets.layers import blocks
from kidneyseg.nets.unet3plus import FullScaleNode, UNet3Plus

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")


def fused(conv, factor):
    return cells.ChannelsLast(fused_cells.UpsampledConvolution(blocks.Upsample(2, factor), conv))


@pytest.mark.parametrize(
    "factor, shape, channels, bias",
    [
        (2, (2, 5, 7, 9), 3, True),
        (4, (1, 3, 6, 4), 8, False),
        (16, (2, 20, 2, 3), 17, False),
        (2, (1, 2, 1, 1), 4, True),
        (3, (1, 4, 30, 2), 1, True),
    ],
)
def test_same_as_one_after_the_other(factor, shape, channels, bias):
    rng = np.random.default_rng(0)
    conv = blocks.conv(2, shape[1], channels, bias=bias)
    randomise(conv, rng)
    x = rng.standard_normal(shape).astype(np.float32)
    stock = nn.SequentialCell(blocks.Upsample(2, factor), conv)
    expected = {name.removeprefix("1."): value for name, value in outputs_and_gradients(stock, x).items()}
    found = {name.removeprefix("1."): value for name, value in outputs_and_gradients(fused(conv, factor), x).items()}
    assert_close(found, expected)


@pytest.mark.parametrize("factor", [2, 8])
def test_same_as_pytorch(factor):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    conv = blocks.conv(2, 6, 5)
    values = randomise(conv, rng)
    x = rng.standard_normal((2, 6, 5, 3)).astype(np.float32)
    found = outputs_and_gradients(fused(conv, factor), x)
    given = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in {"input": x, **values}.items()}
    large = torch.nn.functional.interpolate(given["input"], scale_factor=factor, mode="bilinear", align_corners=False)
    out = torch.nn.functional.conv2d(large, given["weight"], given["bias"], padding=1)
    noise = np.random.default_rng(7).standard_normal(tuple(out.shape)).astype(np.float32)
    (out * torch.from_numpy(noise)).sum().backward()
    assert_close(found, {"output": out.detach().numpy(), **{name: t.grad.numpy() for name, t in given.items()}})


@pytest.mark.parametrize("norm", ["batch", None])
def test_a_node_sees_coarser_features_through_it(norm):
    rng = np.random.default_rng(2)
    channels = [4, 12, 16]
    stock, ours = (FullScaleNode(0, channels, 4, norm) for _ in range(2))
    load(ours, randomise(stock, rng))
    ours = cpu_kernels.accelerate(ours)
    swapped = [cell for _, cell in ours.cells_and_names() if isinstance(cell, fused_cells.UpsampledConvolution)]
    assert len(swapped) == 2 and not any(isinstance(cell, cells.Upsample) for _, cell in ours.cells_and_names())
    features = [
        ms.Tensor(rng.standard_normal((2, c, 16 >> level, 8 >> level)), ms.float32) for level, c in enumerate(channels)
    ]
    stock.set_train(False)
    expected = stock(features).asnumpy()
    node = ours.cell.set_train(False)
    found = ours.to_channels_first(node(tuple(ours.to_channels_last(x) for x in features))).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_weights_keep_their_names():
    names = {parameter.name for parameter in UNet3Plus(1, 2, 2, 3).get_parameters()}
    assert {parameter.name for parameter in cpu_kernels.accelerate(UNet3Plus(1, 2, 2, 3)).get_parameters()} == names


@pytest.mark.parametrize(
    "conv",
    [
        lambda: nn.Conv2d(3, 4, 1),
        lambda: nn.Conv2d(3, 4, 3, 2, "pad", 1),
        lambda: nn.Conv2d(3, 4, 3, 1, "valid"),
        lambda: nn.Conv2d(3, 4, 3, 1, "pad", 2, 2),
        lambda: nn.Conv2d(4, 4, 3, group=2),
        lambda: nn.Conv3d(3, 4, 3),
    ],
)
def test_other_convolutions_are_left_alone(conv):
    with pytest.raises(cells.Unsupported):
        fused_cells.UpsampledConvolution(blocks.Upsample(2, 2), conv())
