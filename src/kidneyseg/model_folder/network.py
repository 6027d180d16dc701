"""The trained network of a stage, optimised for a device."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms
from mindspore import nn, ops

from kidneyseg import device as devices
from kidneyseg import nets
from kidneyseg.model_folder.checkpoint import load_weights
from kidneyseg.recipe import Stage


def load_network(stage: Stage, checkpoint: Path, device: str, precision: str = "auto") -> nn.Cell:
    """Load the network of ``stage`` with the weights of ``checkpoint``, for inference on ``device``.

    Args:
        stage: the stage.
        checkpoint: path of the weights.
        device: CPU, GPU or Ascend.
        precision: number format. auto: float32 on CPU, with the project's kernels; elsewhere that of the training.

    Raises:
        InputError: no such checkpoint, a damaged one, or one of another network; a precision that the device does not
            support.
    """
    if precision == "auto":
        precision = "float32" if device == "CPU" else nets.choose_precision(stage.train.precision, device)
    return devices.prepare_network(stock_network(stage, checkpoint), precision, device)


def stock_network(stage: Stage, checkpoint: Path) -> nn.Cell:
    """Load the network with MindSpore's cells, in float32, for export. Raises InputError as :func:`load_network`."""
    network = nets.build_network(stage.network, stage.classes, stage.channels, pretrained=False)
    load_weights(network, checkpoint)
    return network.set_train(False)


class Probabilities(nn.Cell):
    """A network followed by a softmax over the classes: (N, channels, *S) -> (N, classes, *S) float32."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.set_train(False)

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        return ops.softmax(self.network(images).astype(ms.float32), 1)
