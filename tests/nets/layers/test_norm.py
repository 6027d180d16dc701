"""Normalisation against PyTorch, in graph mode: values, gradients and moving statistics."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg.nets.layers.norm import BatchNorm, InstanceNorm, make_norm

torch = pytest.importorskip("torch")

SHAPES = [(3, 4, 5, 6), (2, 4, 3, 5, 6)]
TOLERANCE = dict(rtol=1e-4, atol=1e-5)


def random(shape: tuple[int, ...], seed: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 2, shape).astype(np.float32)


def with_gradients(cell: ms.nn.Cell, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Output, and gradients of sum(output * weight) in x, gamma and beta."""
    cell.gamma.set_data(ms.Tensor(random(cell.gamma.shape, 7)))
    cell.beta.set_data(ms.Tensor(random(cell.beta.shape, 8)))
    weight = ms.Tensor(weight)

    def forward(x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        y = cell(x)
        return (y * weight).sum(), y

    step = ms.jit(ms.value_and_grad(forward, 0, [cell.gamma, cell.beta], has_aux=True))
    (_, y), (dx, (dgamma, dbeta)) = step(ms.Tensor(x))
    return tuple(tensor.asnumpy() for tensor in (y, dx, dgamma, dbeta))


def with_torch_gradients(norm, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    x, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (x, random((4,), 7), random((4,), 8)))
    y = norm(x, gamma, beta)
    (y * torch.tensor(weight)).sum().backward()
    return tuple(tensor.detach().numpy() for tensor in (y, x.grad, gamma.grad, beta.grad))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_trains_like_torch(shape):
    x, weight = random(shape, 0, mean=3), random(shape, 1)
    cell = BatchNorm(4)
    cell.set_train()
    mean, variance = torch.zeros(4), torch.ones(4)
    expected = with_torch_gradients(
        lambda x, gamma, beta: torch.nn.functional.batch_norm(
            x, mean, variance, gamma, beta, training=True, momentum=0.1
        ),
        x,
        weight,
    )
    for found, wanted in zip(with_gradients(cell, x, weight), expected):
        np.testing.assert_allclose(found, wanted, **TOLERANCE)
    np.testing.assert_allclose(cell.moving_mean.asnumpy(), mean, **TOLERANCE)
    np.testing.assert_allclose(cell.moving_variance.asnumpy(), variance, **TOLERANCE)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_infers_with_moving_statistics(shape):
    x = random(shape, 0)
    cell = BatchNorm(4)
    cell.moving_mean.set_data(ms.Tensor([1.0, 2.0, 3.0, 4.0], ms.float32))
    cell.moving_variance.set_data(ms.Tensor([4.0, 4.0, 9.0, 9.0], ms.float32))
    channels = (4,) + (1,) * (len(shape) - 2)
    expected = (x - np.reshape([1, 2, 3, 4], channels)) / np.sqrt(np.reshape([4, 4, 9, 9], channels) + 1e-5)
    cell.set_train(False)
    np.testing.assert_allclose(ms.jit(cell)(ms.Tensor(x)).asnumpy(), expected, **TOLERANCE)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_instance_norm_is_torchs(shape, training):
    x, weight = random(shape, 0, mean=3), random(shape, 1)
    cell = InstanceNorm(4)
    cell.set_train(training)
    expected = with_torch_gradients(
        lambda x, gamma, beta: torch.nn.functional.instance_norm(x, weight=gamma, bias=beta), x, weight
    )
    for found, wanted in zip(with_gradients(cell, x, weight), expected):
        np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_parameters_have_the_same_names_whatever_the_dimensions():
    cell = ms.nn.SequentialCell(BatchNorm(4), InstanceNorm(4))
    assert set(cell.parameters_dict()) == {
        "0.gamma",
        "0.beta",
        "0.moving_mean",
        "0.moving_variance",
        "1.gamma",
        "1.beta",
    }
    assert {p.shape for p in cell.get_parameters()} == {(4,)}


def test_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'layer'"):
        make_norm("layer", 4)
