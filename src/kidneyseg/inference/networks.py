"""A stage's trained network, as a device runs it best."""

from __future__ import annotations

from pathlib import Path

from mindspore import nn

from kidneyseg import device as devices
from kidneyseg import nets
from kidneyseg.recipe import Stage
from kidneyseg.training.checkpoint import load_weights


def load_network(stage: Stage, checkpoint: Path, device: str, precision: str = "auto") -> nn.Cell:
    """The network of ``stage`` with the weights of ``checkpoint``, for inference on ``device``.

    In ``precision`` auto it computes in float32 on CPU, on the project's own kernels, elsewhere in that of training.

    Raises:
        InputError: no such checkpoint, a damaged one, or one of another network; a precision that the device has not.
    """
    if precision == "auto":
        precision = "float32" if device == "CPU" else nets.choose_precision(stage.train.precision, device)
    return devices.fit(stock_network(stage, checkpoint), precision, device)


def stock_network(stage: Stage, checkpoint: Path) -> nn.Cell:
    """The same of MindSpore's own cells, in float32: what can be exported. Raises as :func:`load_network`."""
    network = nets.build(stage.network, stage.classes, stage.channels, pretrained=False)
    load_weights(network, checkpoint)
    return network.set_train(False)
