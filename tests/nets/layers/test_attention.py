"""Gates against the papers' formulas in PyTorch with the same weights, in graph mode: values and gradients."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg.nets.layers.attention import AttentionGate, Scale, SqueezeExcite

torch = pytest.importorskip("torch")
F = torch.nn.functional

CONV = {2: F.conv2d, 3: F.conv3d}
LINEAR = {2: "bilinear", 3: "trilinear"}
SIZE = {2: (8, 6), 3: (4, 6, 8)}


def random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same(cell: ms.nn.Cell, reference, inputs: list[np.ndarray]) -> None:
    """`reference(parameters, *inputs)` in torch must give the output of `cell` and all gradients of a mix of it."""
    weights = cell.trainable_params()
    for seed, parameter in enumerate(weights):
        parameter.set_data(ms.Tensor(random(parameter.shape, seed)))
    mix = random(inputs[0].shape, 99)
    mix_ms = ms.Tensor(mix)

    def forward(*x):
        y = cell(*x)
        return (y * mix_ms).sum(), y

    places = tuple(range(len(inputs)))
    (_, y), (dx, dweights) = ms.jit(ms.value_and_grad(forward, places, weights, has_aux=True))(*map(ms.Tensor, inputs))
    x = [torch.tensor(one, requires_grad=True) for one in inputs]
    p = {weight.name: torch.tensor(weight.asnumpy(), requires_grad=True) for weight in weights}
    expected = reference(p, *x)
    (expected * torch.tensor(mix)).sum().backward()
    dx = dx if isinstance(dx, tuple) else (dx,)
    for found, wanted in zip(
        [y, *dx, *dweights], [expected, *[one.grad for one in x], *[p[weight.name].grad for weight in weights]]
    ):
        wanted = wanted.detach().numpy()
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("dims", [2, 3])
def test_squeeze_and_excitation(dims):
    def reference(p, x):
        means = x.flatten(2).mean(2)
        hidden = F.relu(F.linear(means, p["reduce.weight"].flatten(1), p["reduce.bias"]))
        factors = torch.sigmoid(F.linear(hidden, p["expand.weight"].flatten(1), p["expand.bias"]))
        return x * factors[(...,) + (None,) * dims]

    assert_same(SqueezeExcite(dims, 6), reference, [random((2, 6, *SIZE[dims]), 9)])


def test_hidden_units():
    assert SqueezeExcite(2, 128).reduce.weight.shape == (8, 128, 1, 1)
    assert SqueezeExcite(3, 16).reduce.weight.shape == (4, 16, 1, 1, 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_attention_gate(dims):
    def reference(p, skip, signal):
        joined = CONV[dims](skip, p["from_skip.weight"], stride=2) + CONV[dims](
            signal, p["from_signal.weight"], p["from_signal.bias"]
        )
        score = torch.sigmoid(CONV[dims](F.relu(joined), p["score.weight"], p["score.bias"]))
        return skip * F.interpolate(score, scale_factor=2, mode=LINEAR[dims], align_corners=False)

    half = tuple(length // 2 for length in SIZE[dims])
    assert_same(AttentionGate(dims, 6, 5), reference, [random((2, 6, *SIZE[dims]), 9), random((2, 5, *half), 8)])


def test_a_new_gate_lets_most_of_every_feature_pass():
    ms.set_seed(0)
    skip, signal = random((2, 16, 16, 16), 9), random((2, 32, 8, 8), 8)
    share = AttentionGate(2, 16, 32)(ms.Tensor(skip), ms.Tensor(signal)).asnumpy() / skip
    assert 0.8 < share.mean() < 1


@pytest.mark.parametrize("gate", [(2, 3, 1, 1), (2, 1, 4, 5)])
def test_scale_is_by_channel_or_by_place(gate):
    features, factors = random((2, 3, 4, 5), 9), random(gate, 8)
    assert np.array_equal(Scale()(ms.Tensor(features), ms.Tensor(factors)).asnumpy(), features * factors)
