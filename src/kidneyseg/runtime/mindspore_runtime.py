"""The runtime that computes a stage's network with MindSpore."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn

from kidneyseg.runtime.padding import padded


class MindSporeRuntime:
    """A MindSpore cell as a :class:`kidneyseg.runtime.base.Runtime`.

    Args:
        cell: cell that returns probabilities: :class:`Probabilities`, or an exported graph.
        batch_size: size to which every batch is padded, so that the graph is compiled once per image size.
        dtype: number format of the cell's input, float32 or uint8.
    """

    def __init__(self, cell: nn.Cell, batch_size: int, dtype: str = "float32") -> None:
        self.cell, self.batch_size, self.dtype = cell, batch_size, dtype

    def __call__(self, images: np.ndarray) -> np.ndarray:
        batch = ms.Tensor(padded(images.astype(self.dtype, copy=False), self.batch_size))
        return self.cell(batch).asnumpy()[: len(images)]
