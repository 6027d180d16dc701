"""What holds for every network: sizes, parameter counts, learning, precision, and refusals."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import losses, nets
from kidneyseg.errors import InputError
from kidneyseg.recipe import Loss, Network

DIMS = {
    "unet2d": 2,
    "unetpp": 2,
    "unet3plus": 2,
    "unet3d": 3,
    "vnet3d": 3,
    "resunet3d": 3,
    "resunet25d": 3,
    "isensee3d": 3,
    "ms_vnet25d": 2,
    "unet_resnet34": 2,
    "deeplabv3plus": 2,
}
DEPTHS = {"deeplabv3plus": (5, 6)}  # of a small and a larger network; of all others 2 and 4
RESNETS = ("unet_resnet34", "deeplabv3plus")
SUPERVISED = {"unetpp": 2, "unet3plus": 3, "resunet3d": 3}  # name -> outputs of a network of depth 3


def tiny(name: str, **options) -> ms.nn.Cell:
    ms.set_seed(0)
    return nets.build_network(Network(**{"name": name, "width": 4, "depth": depths(name)[0], **options}), classes=3)


def depths(name: str) -> tuple[int, int]:
    return DEPTHS.get(name, (2, 4))


def images(name: str, length: int = 16, batch: int = 2) -> ms.Tensor:
    shape = (batch, 1) + (length,) * DIMS[name]
    return ms.Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def test_every_network_is_tested_here():
    assert set(nets.NETWORKS) == set(DIMS)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", DIMS)
def test_logits_have_the_inputs_size_for_any_depth_and_odd_width(name, norm, size):
    network = tiny(name, width=3, depth=depths(name)[size], norm=norm)
    x = images(name)
    for training in (True, False):
        network.set_train(training)
        assert network(x).shape == (2, 3, *x.shape[2:])


@pytest.mark.parametrize("name", [name for name in DIMS if name not in RESNETS])
def test_encoder_doubles_channels_and_halves_lengths_at_every_level(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)  # hooks are not called in graph mode, which an earlier test may have left
    network = tiny(name, width=4, depth=4)
    seen = []
    for cell in network.encoder:
        cell.register_forward_hook(lambda cell, inputs, output: seen.append(output.shape))
    network(images(name))
    first = {"unet3d": 8}.get(name, 4)
    sizes = [(16 // 2**level,) * DIMS[name] for level in range(4)]
    if name == "resunet25d":
        sizes = [(16, *size[1:]) for size in sizes]
    assert seen == [(2, first * 2**level, *size) for level, size in enumerate(sizes)]


@pytest.mark.parametrize("name", DIMS)
def test_size_that_cannot_be_halved_is_refused_while_tracing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore leaves a graph dump behind in the working folder
    depth, factor = {"deeplabv3plus": (5, 8)}.get(name, (3, 4))
    with pytest.raises(ValueError, match=f"multiple of {factor}"):
        ms.jit(tiny(name, depth=depth))(images(name, length=18))


def test_slabs_of_any_number_of_slices_pass_the_25d_network():
    x = ms.Tensor(np.zeros((1, 1, 5, 8, 16), np.float32))
    assert ms.jit(tiny("resunet25d", depth=3))(x).shape == (1, 3, 5, 8, 16)


@pytest.mark.parametrize(
    "name, options",
    [
        *[(name, {"deep_supervision": name in SUPERVISED}) for name in DIMS],
        ("unet3d", {"residual": True, "attention": True}),
    ],
)
def test_a_few_steps_in_graph_mode_lower_the_loss(name, options):
    network = tiny(name, **options)
    loss = losses.build_loss(Loss(name="dice_ce"))
    optimiser = ms.nn.Adam(network.trainable_params(), 1e-2)
    x = images(name)
    y = (x.squeeze(1) > 0.5).astype(ms.int32) + (x.squeeze(1) > 1.5).astype(ms.int32)
    network.set_train()

    def forward(x, y):
        return loss(network(x), y)

    gradients_of = ms.value_and_grad(forward, None, optimiser.parameters)

    @ms.jit
    def step(x, y):
        value, gradients = gradients_of(x, y)
        optimiser(gradients)
        return value

    before = network.trainable_params()[0].asnumpy().copy()
    values = [float(step(x, y)) for _ in range(8)]
    assert values[-1] < 0.9 * values[0], values
    assert not np.array_equal(before, network.trainable_params()[0].asnumpy()), "the first layer must learn too"


@pytest.mark.parametrize("name", SUPERVISED)
def test_deep_supervision_gives_a_tuple_in_training_only(name):
    x = images(name)
    network = tiny(name, depth=3, deep_supervision=True, norm="instance")
    network.set_train()
    logits = ms.jit(network)(x)
    assert isinstance(logits, tuple) and [side.shape for side in logits] == [(2, 3, *x.shape[2:])] * SUPERVISED[name]
    network.set_train(False)
    # Instance norm computes the same in training, so the single tensor must be the tuple's first.
    np.testing.assert_allclose(ms.jit(network)(x).asnumpy(), logits[0].asnumpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", DIMS)
def test_float16_computes_in_half_precision_and_gives_float32_logits(name):
    x = images(name, length=32 if name in DEPTHS else 16)  # batch norm of a few pixels makes much of little noise
    supervised = name in SUPERVISED
    full, half = tiny(name, deep_supervision=supervised), tiny(name, deep_supervision=supervised)
    nets.apply_precision(half, "float16")
    assert {p.dtype for p in half.trainable_params()} == {ms.float32}
    full.set_train()
    half.set_train()
    exact, rounded = ms.jit(full)(x), ms.jit(half)(x)
    for a, b in zip(exact, rounded) if supervised else [(exact, rounded)]:
        assert b.dtype == ms.float32
        difference = np.abs(a.asnumpy() - b.asnumpy()).max()
        assert 1e-5 < difference < 0.1, "neither float32 arithmetic nor garbage"


def test_float16_trains():
    network = nets.apply_precision(tiny("unet3d"), "float16")
    network.set_train()

    def forward(x):
        return network(x).square().mean()

    gradients = ms.jit(ms.grad(forward, None, network.trainable_params()))(images("unet3d"))
    assert all(np.isfinite(g.asnumpy()).all() and g.dtype == ms.float32 for g in gradients)


@pytest.mark.parametrize(
    "name, options",
    [
        *[(name, {"deep_supervision": name in SUPERVISED}) for name in DIMS],
        ("unet3d", {"norm": "instance", "residual": True, "attention": True}),
    ],
)
def test_mindir_of_any_batch_gives_the_same_logits(name, options, tmp_path):
    network = tiny(name, **options)
    network.set_train(False)
    any_batch = ms.Tensor(shape=[None, 1] + [16] * DIMS[name], dtype=ms.float32)
    ms.export(network, any_batch, file_name=str(tmp_path / name), file_format="MINDIR")
    loaded = ms.nn.GraphCell(ms.load(str(tmp_path / f"{name}.mindir")))
    for batch in (1, 3):
        x = images(name, batch=batch)
        np.testing.assert_allclose(loaded(x).asnumpy(), network(x).asnumpy(), rtol=1e-5, atol=1e-6)


def test_unknown_precision_is_refused():
    with pytest.raises(InputError, match="'float8'"):
        nets.apply_precision(tiny("unet2d"), "float8")


def test_unknown_network_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match=", ".join(nets.NETWORKS) + ".*'unet4d'"):
        tiny("unet4d")


@pytest.mark.parametrize(
    "option, able",
    [
        ("deep_supervision", set(SUPERVISED)),
        ("residual", {"unet3d"}),
        ("attention", {"unet3d"}),
        ("pretrained", {"unet_resnet34", "deeplabv3plus"}),
    ],
)
def test_an_option_is_refused_by_networks_that_do_not_have_it(option, able):
    for name in sorted(set(nets.NETWORKS) - able):
        with pytest.raises(InputError, match=f"'{name}'.*no {option}") as refusal:
            tiny(name, **{option: "resnet34.pth" if option == "pretrained" else True})
        assert all(other in str(refusal.value) for other in able)
