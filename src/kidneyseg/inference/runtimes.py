"""MindSpore as what runs a stage's network: images in, probabilities out."""

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
    """A MindSpore cell as a :class:`kidneyseg.inference.model.Runtime`.

    Args:
        cell: yields probabilities: :class:`Probabilities`, or an exported graph.
        batch_size: what every batch is padded to, so that the graph is compiled once per image size.
        dtype: of the images that the cell takes, float32 or uint8.
    """

    def __init__(self, cell: nn.Cell, batch_size: int, dtype: str = "float32") -> None:
        self.cell, self.batch_size, self.dtype = cell, batch_size, dtype

    def __call__(self, images: np.ndarray) -> np.ndarray:
        batch = ms.Tensor(padded(images.astype(self.dtype, copy=False), self.batch_size))
        return self.cell(batch).asnumpy()[:len(images)]
