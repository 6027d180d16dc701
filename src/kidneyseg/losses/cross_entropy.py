"""Softmax cross-entropy and the focal loss, over any number of spatial axes."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.uncertain import Uncertain

LEAST = 1e-6  # lower limit of 1 - p, because the slope of a power below 1 is unbounded at 0
SMALLEST = 1e-30  # lower limit of a sum of probabilities in a logarithm


def one_hot(target: ms.Tensor, classes: int) -> ms.Tensor:
    """Convert (N, *S) int class indices to (N, classes, *S) float32."""
    along_classes = (1, classes) + (1,) * (target.ndim - 1)
    return (ops.expand_dims(target, 1) == ops.reshape(ops.arange(0, classes, dtype=ms.int32), along_classes)).astype(
        ms.float32
    )


def surprise(logits: ms.Tensor, target: ms.Tensor, uncertain: Uncertain) -> ms.Tensor:
    """Compute -ln softmax(logits)[target] of every voxel: (N, C, *S) float, (N, *S) int -> (N, *S) float32, >= 0.

    For a voxel that may belong to several classes it is -ln of the sum of their probabilities.

    ``ops.cross_entropy`` and similar operators are not used, because they take up to four times as long on the CPU.
    """
    logits = logits.astype(ms.float32)
    wanted = one_hot(target, logits.shape[1])
    # Softmax is invariant to a shift of all classes, which avoids an overflow of exp.
    logits = logits - ops.stop_gradient(ops.amax(logits, 1, keepdims=True))
    weights, score = ops.exp(logits), (logits * wanted).sum(1)
    for code, classes in uncertain.items():
        of_classes = weights[:, classes[0]]
        for index in classes[1:]:
            of_classes = of_classes + weights[:, index]
        score = ops.where(target == code, ops.log(ops.maximum(of_classes, SMALLEST)), score)
    return ops.log(weights.sum(1)) - score


class CrossEntropy(nn.Cell):
    """Cross-entropy: mean over voxels of -ln softmax(logits)[target].

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.
    """

    def __init__(self, uncertain: Uncertain | None = None) -> None:
        super().__init__()
        self.uncertain = dict(uncertain or {})

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        return surprise(logits, target, self.uncertain).mean()


class Focal(nn.Cell):
    """Focal loss: mean over voxels of -(1 - p)^focus ln p, where p is the softmax probability of the true class.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.

    Lin et al., "Focal loss for dense object detection", ICCV 2017, for several classes and without the balancing factor
    alpha: voxels that are already correct have little weight. With ``focus`` 0 it is cross-entropy.
    """

    def __init__(self, focus: float = 2.0, uncertain: Uncertain | None = None) -> None:
        super().__init__()
        self.focus = focus
        self.uncertain = dict(uncertain or {})

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        cost = surprise(logits, target, self.uncertain)
        if self.focus == 0:
            return cost.mean()
        return (ops.pow(ops.maximum(1 - ops.exp(-cost), LEAST), self.focus) * cost).mean()
