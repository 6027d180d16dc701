"""Softmax cross-entropy over any number of spatial axes."""
from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops


class CrossEntropy(nn.Cell):
    """Mean over voxels of -ln softmax(logits)[target].

    Written out, because `ops.cross_entropy` and its relatives take up to four times as long on the CPU.

    Args:
        weights: one per class; the mean is then weighted by each voxel's class, as in torch's `cross_entropy`.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.
    """

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.weights = None if weights is None else ms.Tensor(weights, ms.float32)

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        logits = logits.astype(ms.float32)
        along_classes = (1, logits.shape[1]) + (1,) * (target.ndim - 1)
        classes = ops.reshape(ops.arange(0, logits.shape[1], dtype=ms.int32), along_classes)
        one_hot = (ops.expand_dims(target, 1) == classes).astype(ms.float32)
        # Softmax does not see a shift common to all classes; without it exp would overflow.
        logits = logits - ops.stop_gradient(ops.amax(logits, 1, keepdims=True))
        surprise = ops.log(ops.exp(logits).sum(1)) - (logits * one_hot).sum(1)
        if self.weights is None:
            return surprise.mean()
        weight = (one_hot * ops.reshape(self.weights, along_classes)).sum(1)
        return (weight * surprise).sum() / weight.sum()
