"""3-D networks against their papers written out in PyTorch in float64, with the same weights: logits and gradients.

In graph mode, in training but without dropout, at width and depth where every kind of block occurs.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import nets
from kidneyseg.nets.layers.dropout import ChannelDropout
from kidneyseg.recipe import Network

torch = pytest.importorskip("torch")
twins = pytest.importorskip("torch_twins")

CASES = {
    "unet3d": ({"name": "unet3d"}, lambda x, p: [twins.unet3d(x, p, 3)]),
    "unet3d, residual": ({"name": "unet3d", "residual": True}, lambda x, p: [twins.unet3d(x, p, 3, residual=True)]),
    "unet3d, attention": ({"name": "unet3d", "attention": True}, lambda x, p: [twins.unet3d(x, p, 3, attention=True)]),
    "unet3d, both": (
        {"name": "unet3d", "residual": True, "attention": True, "norm": "instance"},
        lambda x, p: [twins.unet3d(x, p, 3, True, True)],
    ),
    "resunet3d": ({"name": "resunet3d"}, lambda x, p: twins.resunet(x, p, 3, (2, 2, 2))),
    "resunet3d, side outputs": (
        {"name": "resunet3d", "deep_supervision": True, "norm": "instance"},
        lambda x, p: enlarged(twins.resunet(x, p, 3, (2, 2, 2))),
    ),
    "resunet25d": ({"name": "resunet25d"}, lambda x, p: twins.resunet(x, p, 3, (1, 2, 2))),
    "isensee3d": ({"name": "isensee3d", "norm": "instance", "depth": 4}, lambda x, p: [twins.isensee3d(x, p, 4)]),
    "isensee3d, batch": ({"name": "isensee3d", "depth": 2}, lambda x, p: [twins.isensee3d(x, p, 2)]),
}


def enlarged(logits: list) -> list:
    return [
        torch.nn.functional.interpolate(one, logits[0].shape[2:], mode="trilinear", align_corners=False)
        for one in logits
    ]


def built(options: dict) -> ms.nn.Cell:
    ms.set_seed(1)
    network = nets.build_network(Network(**{"width": 4, "depth": 3, **options}), classes=3, in_channels=2).set_train()
    for _, cell in network.cells_and_names():
        if isinstance(cell, ChannelDropout):
            cell.set_train(False)
    rng = np.random.default_rng(1)
    for parameter in network.trainable_params():
        if parameter.ndim == 1:  # norms and biases as training leaves them, not 1 and 0
            parameter.set_data(ms.Tensor(rng.uniform(0.2, 1, parameter.shape), ms.float32))
    return network


@pytest.mark.parametrize("case", CASES)
def test_logits_and_gradients_of_the_paper(case):
    options, written_out = CASES[case]
    network = built(options)
    weights = network.trainable_params()
    rng = np.random.default_rng(2)  # of this seed no input of a ReLU is 0 but for rounding
    size = (8, 8, 16) if network.depth < 4 else (16, 16, 16)  # norms need a few voxels at the deepest level
    x = rng.standard_normal((2, 2, *size)).astype(np.float32)
    mix = rng.standard_normal((3, 2, 3, *size)).astype(np.float32)

    def forward(x, mix):
        out = network(x)
        logits = ms.ops.stack(out) if isinstance(out, tuple) else ms.ops.expand_dims(out, 0)
        return (logits * mix).sum(), logits

    p = twins.parameters(network, torch.float64)
    known = {**p, "norm": options.get("norm", "batch")}
    expected = torch.stack(written_out(torch.tensor(x, dtype=torch.float64), known))
    mix = mix[: len(expected)]
    (expected * torch.tensor(mix)).sum().backward()
    (_, logits), gradients = ms.jit(ms.value_and_grad(forward, None, weights, has_aux=True))(
        ms.Tensor(x), ms.Tensor(mix)
    )
    np.testing.assert_allclose(logits.asnumpy(), expected.detach(), rtol=1e-4, atol=1e-4)
    for weight, gradient in zip(weights, gradients):
        wanted = p[weight.name].grad.numpy()
        np.testing.assert_allclose(
            gradient.asnumpy(), wanted, rtol=0, atol=2e-4 * np.abs(wanted).max(), err_msg=weight.name
        )
