import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from kidneyseg.recipe import Train
from kidneyseg.training import optimizer


class Affine(nn.Cell):
    """A weight that decays, and a normalisation and a bias that must not."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        for name in ("weight", "gamma", "bias"):
            setattr(self, name, ms.Parameter(rng.normal(size=(4, 3)).astype(np.float32), name=name))


GRADIENTS = np.random.default_rng(1).normal(size=(5, 3, 4, 3)).astype(np.float32)


def ours(kind, decay):
    network = Affine()
    optim = optimizer.build(Train(optimizer=kind, weight_decay=decay), network)
    order = [p.name for p in optim.parameters]
    for number, step in enumerate(GRADIENTS):
        gradients = dict(zip(("weight", "gamma", "bias"), step))
        ops.assign(optim.learning_rate, ms.Tensor(0.1 / (number + 1), ms.float32))
        optim(tuple(ms.Tensor(gradients[name]) for name in order))
    return {name: getattr(network, name).asnumpy() for name in ("weight", "gamma", "bias")}


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_steps_like_pytorch_and_decays_weights_only(kind, decay):
    torch = pytest.importorskip("torch")
    made = Affine()
    parameters = {
        name: torch.nn.Parameter(torch.tensor(getattr(made, name).asnumpy())) for name in ("weight", "gamma", "bias")
    }
    groups = [
        {"params": [parameters["weight"]], "weight_decay": decay},
        {"params": [parameters["gamma"], parameters["bias"]], "weight_decay": 0.0},
    ]
    optim = {
        "adam": lambda: torch.optim.Adam(groups),
        "adamw": lambda: torch.optim.AdamW(groups),
        "sgd": lambda: torch.optim.SGD(groups, lr=0.1, momentum=optimizer.MOMENTUM, nesterov=True),
    }[kind]()
    for number, step in enumerate(GRADIENTS):
        for group in optim.param_groups:
            group["lr"] = 0.1 / (number + 1)
        for name, gradient in zip(parameters, step):
            parameters[name].grad = torch.tensor(gradient)
        optim.step()
    found = ours(kind, decay)
    for name, parameter in parameters.items():
        np.testing.assert_allclose(found[name], parameter.detach().numpy(), rtol=2e-5, atol=1e-6, err_msg=name)
