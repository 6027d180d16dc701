"""Outputs and gradients of a cell, to compare two that should do the same."""

import mindspore as ms
import numpy as np
from mindspore import nn


def randomise(cell: nn.Cell, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every parameter at random; all but weights positive, for a moving variance is one of them."""
    values = {}
    for parameter in cell.get_parameters():
        sign = rng.choice([-1, 1] if parameter.ndim > 1 else [1], parameter.shape)
        values[parameter.name] = (sign * rng.uniform(0.2, 1, parameter.shape)).astype(np.float32)
    load(cell, values)
    return values


def load(cell: nn.Cell, values: dict[str, np.ndarray]) -> None:
    for parameter in cell.get_parameters():
        parameter.set_data(ms.Tensor(values[parameter.name], ms.float32))


def outputs_and_gradients(cell: nn.Cell, x: np.ndarray, training: bool = True) -> dict[str, np.ndarray]:
    """Output, gradients of sum(output * fixed noise) for input and parameters, and the moving statistics after it."""
    cell.set_train(training)
    x = ms.Tensor(x)
    out = cell(x)
    noise = ms.Tensor(np.random.default_rng(7).standard_normal(out.shape), ms.float32)
    parameters = sorted(cell.trainable_params(), key=lambda p: p.name)

    def loss(x):
        return (cell(x) * noise).sum()

    if parameters:
        dx, gradients = ms.grad(loss, 0, ms.ParameterTuple(parameters))(x)
    else:
        dx, gradients = ms.grad(loss, 0)(x), ()
    found = {"output": out, "input": dx}
    found.update({parameter.name: gradient for parameter, gradient in zip(parameters, gradients)})
    found.update({f"value of {p.name}": p for p in cell.get_parameters() if "moving" in p.name})
    return {name: tensor.asnumpy() for name, tensor in found.items()}


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float = 1e-4) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        assert np.abs(found[name] - value).max() <= tolerance * np.abs(value).max() + 1e-6, name
