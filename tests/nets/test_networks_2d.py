"""The 2-D and 2.5-D networks against PyTorch in float64 with the same weights: logits and gradients.

The networks run compiled, on MindSpore's own cells and on the kernels of `kidneyseg.cpu_kernels`.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import cpu_kernels, nets
from kidneyseg.errors import InputError
from kidneyseg.recipe import Network

torch = pytest.importorskip("torch")
import torch_twins_2d as twins  # noqa: E402

CASES = {  # name -> depth, input channels, size
    "unet_resnet34": (5, 1, (64, 48)),
    "deeplabv3plus": (5, 3, (64, 96)),
    "ms_vnet25d": (3, 3, (64, 48)),
}


def build(name: str, depth: int, in_channels: int, width: int = 8) -> ms.nn.Cell:
    ms.set_seed(1)
    return nets.build_network(Network(name=name, width=width, depth=depth), 3, in_channels).set_train()


def compiled(network: ms.nn.Cell, x: np.ndarray, mix: np.ndarray) -> dict[str, np.ndarray]:
    """Logits, and the gradients of the sum of logits * mix in all parameters."""
    weights = network.trainable_params()

    def forward(x: ms.Tensor, mix: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        logits = network(x)
        return (logits * mix).sum(), logits

    (_, logits), gradients = ms.jit(ms.value_and_grad(forward, None, weights, has_aux=True))(
        ms.Tensor(x), ms.Tensor(mix)
    )
    return {"logits": logits.asnumpy(), **{w.name: g.asnumpy() for w, g in zip(weights, gradients)}}


def in_torch(name: str, network: ms.nn.Cell, depth: int, x: np.ndarray, mix: np.ndarray) -> dict[str, np.ndarray]:
    p = {w.name: torch.tensor(w.asnumpy(), dtype=torch.float64, requires_grad=True) for w in network.trainable_params()}
    logits = getattr(twins, name)(torch.tensor(x, dtype=torch.float64), p, depth)
    (logits * torch.tensor(mix)).sum().backward()
    return {"logits": logits.detach().numpy(), **{key: tensor.grad.numpy() for key, tensor in p.items()}}


@pytest.mark.parametrize("name", CASES)
def test_same_as_written_out_in_torch(name):
    depth, in_channels, size = CASES[name]
    rng = np.random.default_rng(0)
    network = build(name, depth, in_channels)
    x = rng.normal(size=(2, in_channels, *size)).astype(np.float32)
    mix = rng.normal(size=(2, 3, *size)).astype(np.float32)
    expected = in_torch(name, network, depth, x, mix)
    for accelerate in (False, True):
        found = compiled(cpu_kernels.accelerate(network) if accelerate else network, x, mix)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert np.abs(found[key] - value).max() <= 1e-4 * np.abs(value).max(), (accelerate, key)


def shapes(network: ms.nn.Cell, watched: dict[str, ms.nn.Cell], x: np.ndarray) -> dict[str, tuple[int, ...]]:
    """What each of the watched cells gives, without the batch's axis."""
    ms.set_context(mode=ms.PYNATIVE_MODE)  # hooks are not called in graph mode, which an earlier test may have left
    seen = {}

    def watch(name: str, cell: ms.nn.Cell) -> None:
        cell.register_forward_hook(lambda cell, inputs, output: seen.update({name: output.shape[1:]}))

    for name, cell in watched.items():
        watch(name, cell)
    network(ms.Tensor(x))
    return seen


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_unet_resnet34_at_every_level():
    network = build("unet_resnet34", 6, 2)
    watched = {
        "stem": network.encoder.stem,
        **{f"stage {k}": network.encoder.stages[k] for k in range(4)},
        **{f"decoder {k}": network.decoder[k] for k in range(5)},
    }
    assert shapes(network, watched, random(1, 2, 64, 96)) == {
        "stem": (8, 32, 48),
        "stage 0": (8, 16, 24),
        "stage 1": (16, 8, 12),
        "stage 2": (32, 4, 6),
        "stage 3": (64, 2, 3),
        "decoder 4": (32, 4, 6),
        "decoder 3": (16, 8, 12),
        "decoder 2": (8, 16, 24),
        "decoder 1": (4, 32, 48),
        "decoder 0": (2, 64, 96),
    }


@pytest.mark.parametrize("depth, stride, rates", [(6, 16, [6, 12, 18]), (5, 8, [12, 24, 36])])
def test_deeplab_at_every_level(depth, stride, rates):
    network = build("deeplabv3plus", depth, 1)
    stages = network.encoder.stages
    watched = {
        "before last": stages[depth - 4],
        "last": stages[depth - 3],
        "pyramid": network.pyramid,
        "low": network.reduce_low,
        "decoder": network.decoder,
    }
    deep, small = 8 * 2 ** (depth - 3), (64 // stride, 96 // stride)
    assert shapes(network, watched, random(1, 1, 64, 96)) == {
        "before last": (deep // 2, *small),
        "last": (deep, *small),
        "pyramid": (32, *small),
        "low": (6, 16, 24),
        "decoder": (32, 16, 24),
    }
    assert [branch.conv.dilation[0] for branch in network.pyramid.branches] == [1] + rates


@pytest.mark.parametrize("name, depth", [("deeplabv3plus", 4), ("unet_resnet34", 7)])
def test_depth_that_resnet_does_not_have_is_refused(name, depth):
    with pytest.raises(InputError, match=f"network.depth.*{depth}"):
        build(name, depth, 1)


def test_vnet_at_every_level():
    network = build("ms_vnet25d", 4, 5)
    parts = ("encoder", "squeeze", "see", "gates", "up", "decoder")
    watched = {f"{part} {k}": cell for part in parts for k, cell in enumerate(getattr(network, part))}
    sizes = [(64 // 2**k, 96 // 2**k) for k in range(4)]
    expected = {}
    for level, size in enumerate(sizes):
        expected |= {f"encoder {level}": (8 * 2**level, *size), f"squeeze {level}": (8 * 2**level, *size)}
    for level, size in enumerate(sizes[:-1]):
        expected |= {
            f"see {level}": (8, *sizes[level + 1]),
            f"gates {level}": (8 * 2**level, *size),
            f"up {level}": (8 * 2**level, *size),
            f"decoder {level}": (16 * 2**level, *size),
        }
    assert shapes(network, watched, random(1, 5, 64, 96)) == expected


def test_vnet_bottom_sees_ten_pixels_around():
    """Kernels of 3 with dilations 2, 3, 5 reach all sums of -2, 0, 2 with -3, 0, 3 and -5, 0, 5: all but 9."""
    bottom = build("ms_vnet25d", 2, 1).encoder[1].set_train(False)
    for parameter in bottom.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(ms.ops.ones_like(parameter))
    x = np.zeros((1, 24, 41, 41), np.float32)
    x[0, 0, 20, 20] = 1
    response = bottom(ms.Tensor(x), ms.ops.zeros((1, 16, 41, 41), ms.float32)).asnumpy()[0, 0]
    assert set(np.flatnonzero(response.any(1)) - 20) == set(range(-10, 11)) - {-9, 9}


@pytest.mark.parametrize("name", ["unet2d", "unetpp", "unet3plus", *CASES])
def test_every_channel_counts_and_in_its_place(name):
    """Slices of a stack are channels: each must have a say, and the same slices in another order are another input."""
    network = build(name, CASES.get(name, (2,))[0], 5).set_train(False)
    x = random(1, 5, 16, 16)
    others = [np.where(np.arange(5)[:, None, None] == k, x + 1, x) for k in range(5)] + [x[:, ::-1].copy()]
    first, *logits = network(ms.Tensor(np.concatenate([x, *others]))).asnumpy()
    assert all(np.abs(other - first).max() > 1e-3 * np.abs(first).max() for other in logits)
