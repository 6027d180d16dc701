"""MindSpore as what runs a stage's network: normalised images in, probabilities out."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from kidneyseg.inference.padding import padded


class Probabilities(nn.Cell):
    """A network with the softmax over its classes inside the graph: (N, channels, *S) -> (N, classes, *S) float32."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.set_train(False)

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        return ops.softmax(self.network(images).astype(ms.float32), 1)


class MindSporeRuntime:
    """A MindSpore network as a :class:`kidneyseg.inference.model.Runtime`.

    Args:
        network: yields logits (N, classes, *S).
        batch_size: what every batch is padded to, so that the graph is compiled once per image size.
    """

    def __init__(self, network: nn.Cell, batch_size: int) -> None:
        self.cell = Probabilities(network)
        self.batch_size = batch_size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        batch = ms.Tensor(padded(images, self.batch_size), ms.float32)
        return self.cell(batch).asnumpy()[:len(images)]
