"""UNet 3+ of three levels against the same graph written out, node by node, in PyTorch with the same weights."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg.nets.unet3plus import UNet3Plus

torch = pytest.importorskip("torch")
F = torch.nn.functional


def written_out(x: torch.Tensor, p: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Logits of the three levels, in training; figure 1 of the paper cut to three levels."""

    def block(x, name):
        x = F.conv2d(x, p[f"{name}.conv.weight"], padding=1)
        return F.relu(F.batch_norm(x, None, None, p[f"{name}.norm.gamma"], p[f"{name}.norm.beta"], training=True))

    def level(x, name):
        return block(block(x, f"{name}.0"), f"{name}.1")

    def up(x, factor):
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    def head(x, name):
        return F.conv2d(x, p[f"{name}.0.weight"], p[f"{name}.0.bias"], padding=1)

    e0 = level(x, "encoder.0")
    e1 = level(F.max_pool2d(e0, 2), "encoder.1")
    e2 = level(F.max_pool2d(e1, 2), "encoder.2")
    d1 = block(
        torch.cat(
            [
                block(F.max_pool2d(e0, 2), "decoder.1.reduce.0"),
                block(e1, "decoder.1.reduce.1"),
                block(up(e2, 2), "decoder.1.reduce.2"),
            ],
            1,
        ),
        "decoder.1.fuse",
    )
    d0 = block(
        torch.cat(
            [
                block(e0, "decoder.0.reduce.0"),
                block(up(d1, 2), "decoder.0.reduce.1"),
                block(up(e2, 4), "decoder.0.reduce.2"),
            ],
            1,
        ),
        "decoder.0.fuse",
    )
    return [head(d0, "heads.0"), up(head(d1, "heads.1"), 2), up(head(e2, "heads.2"), 4)]


def test_same_logits_and_gradients_as_written_out_in_torch():
    ms.set_seed(3)
    network = UNet3Plus(2, 3, width=4, depth=3, deep_supervision=True)
    network.set_train()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, 16, 24)).astype(np.float32)
    target = rng.normal(size=(3, 2, 3, 16, 24)).astype(np.float32)
    weights = network.trainable_params()

    def forward(x: ms.Tensor, target: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        logits = ms.ops.stack(network(x))
        return (logits * target).sum(), logits

    (_, logits), gradients = ms.jit(ms.value_and_grad(forward, None, weights, has_aux=True))(
        ms.Tensor(x), ms.Tensor(target)
    )
    p = {weight.name: torch.tensor(weight.asnumpy(), requires_grad=True) for weight in weights}
    expected = torch.stack(written_out(torch.tensor(x), p))
    (expected * torch.tensor(target)).sum().backward()
    np.testing.assert_allclose(logits.asnumpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-4)
    for weight, gradient in zip(weights, gradients):
        wanted = p[weight.name].grad.numpy()
        np.testing.assert_allclose(
            gradient.asnumpy(), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max(), err_msg=weight.name
        )
