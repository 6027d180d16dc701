"""Means over space and gates on the kernels against PyTorch: values and gradients."""

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import operators, pooling_cells

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")
torch = pytest.importorskip("torch")

SHAPES = {2: (3, 20, 33, 35), 3: (2, 5, 3, 7, 6)}  # the first is large enough for several threads


def random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def assert_same(cell: ms.nn.Cell, reference, inputs: list[np.ndarray]) -> None:
    """The output of `cell` between channels-first tensors, and the gradients of all inputs, compiled."""
    channels_last, channels_first = operators.to_channels_last(), operators.to_channels_first()
    mix = random(tuple(reference(*map(torch.tensor, inputs)).shape), 99)
    mix_ms = ms.Tensor(mix)

    def forward(*x):
        y = channels_first(cell(*[channels_last(one) for one in x]))
        return (y * mix_ms).sum(), y

    places = tuple(range(len(inputs)))
    (_, y), gradients = ms.jit(ms.value_and_grad(forward, places, has_aux=True))(*map(ms.Tensor, inputs))
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    x = [torch.tensor(one, requires_grad=True) for one in inputs]
    expected = reference(*x)
    (expected * torch.tensor(mix)).sum().backward()
    for found, wanted in zip([y, *gradients], [expected.detach(), *[one.grad for one in x]]):
        wanted = np.zeros(found.shape) if wanted is None else wanted.numpy()
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("dims", SHAPES)
def test_spatial_mean(dims):
    axes = tuple(range(2, 2 + dims))
    assert_same(pooling_cells.SpatialMean(None), lambda x: x.mean(axes, keepdim=True), [random(SHAPES[dims], 0)])


@pytest.mark.parametrize("dims", SHAPES)
def test_broadcast(dims):
    shape = SHAPES[dims]
    x, like = random((shape[0], 7) + (1,) * dims, 0), random(shape, 1)
    assert_same(pooling_cells.Broadcast(None), lambda x, like: x.expand(-1, -1, *like.shape[2:]), [x, like])


@pytest.mark.parametrize("by", ["channel", "place", "both", "sample"])
@pytest.mark.parametrize("dims", SHAPES)
def test_scale(dims, by):
    n, channels, *lengths = SHAPES[dims]
    gate = {
        "channel": (n, channels) + (1,) * dims,
        "place": (n, 1, *lengths),
        "both": (n, channels, *lengths),
        "sample": (n,) + (1,) * (1 + dims),
    }[by]
    assert_same(pooling_cells.Scale(None), lambda x, gate: x * gate, [random(SHAPES[dims], 0), random(gate, 1)])
