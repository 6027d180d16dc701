"""Convolutions with fewer products than taps ask for, against PyTorch in float64."""

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import load, outputs_and_gradients

from kidneyseg import cpu_kernels
from kidneyseg.nets.layers import blocks

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")
torch = pytest.importorskip("torch")


@pytest.fixture
def tiles_on_every_processor(monkeypatch):
    """Where vectors are long, cases as small as these would take a product per tap."""
    monkeypatch.setenv("KIDNEYSEG_WINOGRAD", "always")


CASES = {  # input shape, output channels, kernel, padding; named by the tiles that take the least time
    "4 x 4": ((2, 32, 30, 50), 32, 3, 1),
    "4 x 4, one tile per image": ((40, 64, 4, 4), 128, 3, 1),
    "2 x 2": ((200, 256, 2, 2), 64, 3, 1),
    "channels that fill no vector": ((2, 61, 33, 38), 59, 3, 1),
    "no padding": ((2, 48, 25, 26), 48, 3, 0),
    "more padding than the kernel reaches": ((2, 48, 25, 26), 48, 3, 2),
    "padding of its own for every axis": ((2, 48, 25, 26), 48, 3, (0, 0, 2, 2)),
    "slices of a volume": ((1, 32, 5, 25, 41), 48, (1, 3, 3), (0, 0, 1, 1, 1, 1)),
    "4 x 4 x 4": ((1, 24, 9, 25, 26), 24, 3, 1),
    "2 x 4 x 4": ((1, 24, 2, 37, 41), 32, 3, 1),
    "2 x 2 x 2": ((60, 128, 2, 2, 2), 32, 3, 1),
    "4 x 2 x 2": ((60, 32, 4, 2, 2), 32, 3, 1),
    "a volume without padding": ((1, 32, 9, 21, 24), 16, 3, 0),
}


def with_whole_numbers(shape, channels, kernel, padding):
    """A convolution and its input: whole numbers whose products sum up exactly in 24 bits, but not with 4 bits more,
    which the transforms take."""
    rng = np.random.default_rng(0)
    cell = blocks.CONV[len(shape) - 2](shape[1], channels, kernel, 1, "pad", padding, has_bias=True)
    values = {p.name: rng.integers(-2047, 2048, p.shape).astype(np.float32) for p in cell.get_parameters()}
    load(cell, values)
    return cell, values, rng.integers(-63, 64, shape).astype(np.float32)


def in_float64(x, values, padding):
    """Output and gradients as of `outputs_and_gradients`."""
    tensors = {name: torch.from_numpy(v).double().requires_grad_() for name, v in {"input": x, **values}.items()}
    padded = padding[::2] if isinstance(padding, tuple) else padding
    apply = torch.nn.functional.conv2d if x.ndim == 4 else torch.nn.functional.conv3d
    out = apply(tensors["input"], tensors["weight"], tensors["bias"], padding=padded)
    noise = np.random.default_rng(7).standard_normal(tuple(out.shape)).astype(np.float32)
    (out * torch.from_numpy(noise)).sum().backward()
    return {"output": out.detach().numpy(), **{name: tensor.grad.numpy() for name, tensor in tensors.items()}}


@pytest.mark.usefixtures("tiles_on_every_processor")
@pytest.mark.parametrize("name", CASES)
def test_same_as_pytorch(name):
    shape, channels, kernel, padding = CASES[name]
    cell, values, x = with_whole_numbers(shape, channels, kernel, padding)
    found, expected = outputs_and_gradients(cpu_kernels.accelerate(cell), x), in_float64(x, values, padding)
    assert found.keys() == expected.keys()
    for tensor, value in expected.items():
        np.testing.assert_allclose(found[tensor], value, rtol=0, atol=5e-5 * value.std(), err_msg=tensor)
    assert not np.array_equal(found["output"], expected["output"]), "exact: one product per tap"


@pytest.mark.usefixtures("tiles_on_every_processor")
@pytest.mark.parametrize("shape", [(2, 32, 30, 50), (1, 32, 9, 21, 24)])
def test_transposed_convolution_at_stride_1(shape):
    rng, dims = np.random.default_rng(0), len(shape) - 2
    cell = blocks.CONV_TRANSPOSE[dims](32, 32, 3, 1, "pad", 1, has_bias=True)
    values = {p.name: rng.integers(-2047, 2048, p.shape).astype(np.float32) for p in cell.get_parameters()}
    load(cell, values)
    x = rng.integers(-63, 64, shape).astype(np.float32)
    weight, bias = (torch.from_numpy(values[name]).double() for name in ("weight", "bias"))
    apply = torch.nn.functional.conv_transpose2d if dims == 2 else torch.nn.functional.conv_transpose3d
    expected = apply(torch.from_numpy(x).double(), weight, bias, padding=1).numpy()
    found = cpu_kernels.accelerate(cell)(ms.Tensor(x)).asnumpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5 * expected.std())
    assert not np.array_equal(found, expected), "exact: one product per tap"


@pytest.mark.parametrize(
    "shape, channels, kernel, padding",
    [((1, 1, 32, 32), 32, 3, 1), ((1, 32, 32, 32), 32, 5, 2), ((1, 32, 2, 2), 32, 3, 1), ((1, 8, 40, 40), 8, 3, 1)],
)
def test_one_product_per_tap_where_that_is_faster(shape, channels, kernel, padding):
    cell, values, x = with_whole_numbers(shape, channels, kernel, padding)
    found = outputs_and_gradients(cpu_kernels.accelerate(cell), x)["output"]
    np.testing.assert_array_equal(found, in_float64(x, values, padding)["output"])
