"""Every network there is on the kernels: nothing is left of MindSpore's cells, and the gradients are theirs."""

from __future__ import annotations

import inspect

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from kidneyseg import cpu_kernels, nets
from kidneyseg.cpu_kernels import cells
from kidneyseg.recipe import Network

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")

SWITCHES = {
    name: [
        option
        for option in ("deep_supervision", "residual", "attention")
        if option in inspect.signature(network).parameters
    ]
    for name, network in nets.NETWORKS.items()
}
DEPTHS = {"deeplabv3plus": 5}  # has no shallower one
SIZES = {2: (16, 24), 3: (8, 8, 8)}
WITHOUT_WORK = (nn.CellList, nn.Identity)  # an empty list has no cells
ELEMENTWISE = (nn.Sigmoid,)
KINK = 1e-5  # several times what rounding does to values of about 1


def make(name: str, norm: str, switches: list[str]) -> nn.Cell:
    """The same network each time, in training, every scale, shift and slope far from 0."""
    ms.set_seed(1)
    spec = Network(name=name, width=4, depth=DEPTHS.get(name, 3), norm=norm, **dict.fromkeys(switches, True))
    network = nets.build_network(spec, classes=3).set_train()
    rng = np.random.default_rng(1)
    for parameter in network.trainable_params():
        if parameter.ndim == 1:
            signs = 1 if parameter.name.endswith(".w") else rng.choice([-1, 1], parameter.shape)  # .w: of PReLU
            parameter.set_data(ms.Tensor(signs * rng.uniform(0.2, 1, parameter.shape), ms.float32))
    return network


def rewind(network: nn.Cell) -> None:
    """So that dropout drops the same again."""
    for parameter in network.get_parameters():
        if parameter.name.endswith("draws"):
            parameter.set_data(ms.Tensor(0, ms.int64))


def gap_in_windows(pool: nn.Cell, x: np.ndarray) -> float:
    """The least difference between the largest and the next value of a pooling window, where they are not both 0."""
    axes = x.ndim - 2
    kernel, strides, padding = (
        (value,) * axes if isinstance(value, int) else tuple(value)[-axes:]
        for value in (pool.kernel_size, pool.stride, getattr(pool, "padding", 0))
    )
    if pool.pad_mode.lower() == "pad":
        x = np.pad(x, [(0, 0)] * 2 + [(length, length) for length in padding], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, tuple(range(2, x.ndim)))
    windows = windows[(slice(None),) * 2 + tuple(slice(None, None, stride) for stride in strides)]
    top = np.sort(windows.reshape(*windows.shape[:-axes], -1))[..., -2:]
    return float((top[..., 1] - top[..., 0])[top[..., 1] != 0].min())


def distance_to_kink(network: nn.Cell, x: ms.Tensor) -> float:
    """How little the input of an activation or of a pooling must change for the gradient to jump.

    Two ways to compute the same network round differently. Where an activation's input is 0 up to rounding, one finds
    it positive and the other negative, and gradients differ by a whole voxel's share, 1e-3 or 1e-2 of their largest
    value, in MindSpore, PyTorch and here alike: neither is wrong. The same holds for equal maxima of a pooling.
    """
    ms.set_context(mode=ms.PYNATIVE_MODE)  # hooks are not called in graph mode
    found, handles = [], []

    def look(cell, inputs, output):
        values = inputs[0].asnumpy()
        pooling = isinstance(cell, (nn.MaxPool2d, nn.MaxPool3d))
        found.append(gap_in_windows(cell, values) if pooling else float(np.abs(values).min()))

    for _, cell in network.cells_and_names():
        if isinstance(cell, (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.MaxPool2d, nn.MaxPool3d)):
            handles.append(cell.register_forward_hook(look))
    rewind(network)
    network(x)
    for handle in handles:
        handle.remove()
    return min(found)


def input_without_kinks(network: nn.Cell) -> ms.Tensor:
    """The first of a fixed series of inputs at which gradients can be compared."""
    size = SIZES[max(parameter.ndim for parameter in network.trainable_params()) - 2]
    for seed in range(40):
        x = ms.Tensor(np.random.default_rng(seed).standard_normal((2, 1, *size)), ms.float32)
        if distance_to_kink(network, x) > KINK:
            return x
    raise AssertionError("every input is at a kink of the network")


def outputs_and_gradients(network: nn.Cell, x: ms.Tensor) -> dict[str, np.ndarray]:
    """Of every output, and of the sum of all outputs times fixed noise for every parameter, by name."""
    rewind(network)
    parameters = ms.ParameterTuple(sorted(network.trainable_params(), key=lambda p: p.name))
    out = network(x)
    outputs = out if isinstance(out, tuple) else (out,)
    noise = ms.Tensor(np.random.default_rng(7).standard_normal((len(outputs), *outputs[0].shape)), ms.float32)

    def loss(x):
        out = network(x)
        logits = ms.ops.stack(out) if isinstance(out, tuple) else out
        return (logits * noise).sum()

    rewind(network)
    gradients = ms.grad(loss, None, parameters)(x)
    found = {f"output {k}": one.asnumpy() for k, one in enumerate(outputs)}
    return {**found, **{p.name: gradient.asnumpy() for p, gradient in zip(parameters, gradients)}}


def test_kinks_are_found():
    x = ms.Tensor([[[[-3, 0.25], [1, 1.5]]]], ms.float32)
    assert distance_to_kink(nn.SequentialCell(nn.LeakyReLU()), x) == 0.25
    assert distance_to_kink(nn.SequentialCell(nn.MaxPool2d(2, 2)), x) == 0.5
    assert distance_to_kink(nn.SequentialCell(nn.ReLU(), nn.MaxPool2d(2, 1, "pad", 1)), x) == 0.25  # 0 and 0.25


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", nets.NETWORKS)
def test_nothing_is_left_of_mindspores_cells(name, norm):
    for switches in ([], *[[one] for one in SWITCHES[name]], SWITCHES[name]):
        kinds = [
            type(cell)
            for _, cell in cpu_kernels.accelerate(make(name, norm, switches)).cells_and_names()
            if not cell.cells()
        ]
        foreign = {kind for kind in kinds if not kind.__module__.startswith("kidneyseg.cpu_kernels.")}
        assert foreign <= {*WITHOUT_WORK, *ELEMENTWISE}, f"{switches}: {foreign}"


@pytest.mark.parametrize("name", nets.NETWORKS)
def test_tensors_change_their_layout_at_both_ends_only(name):
    kinds = [type(cell) for _, cell in cpu_kernels.accelerate(make(name, "batch", SWITCHES[name])).cells_and_names()]
    assert kinds.count(cells.ChannelsLast) == 1 and cells.ChannelsFirst not in kinds


@pytest.mark.parametrize(
    "name, norm, switches",
    [*[(name, "batch", []) for name in nets.NETWORKS], *[(name, "instance", SWITCHES[name]) for name in nets.NETWORKS]],
)
def test_outputs_and_gradients_are_mindspores(name, norm, switches):
    stock, ours = make(name, norm, switches), cpu_kernels.accelerate(make(name, norm, switches))
    x = input_without_kinks(stock)
    found, expected = outputs_and_gradients(ours, x), outputs_and_gradients(stock, x)
    assert found.keys() == expected.keys()
    # Some gradients are sums that cancel, of a weight whose size the norm after it takes away: they are 0 up to the
    # rounding of summands as large as other gradients.
    cancelled = 1e-5 * max(np.abs(value).max() for value in expected.values())
    for key, value in expected.items():
        assert np.abs(found[key] - value).max() <= 1e-4 * np.abs(value).max() + cancelled, key
