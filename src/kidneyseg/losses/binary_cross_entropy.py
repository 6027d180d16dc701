"""Binary cross-entropy with logits, of each foreground class against the background."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.cross_entropy import one_hot
from kidneyseg.losses.uncertain import Uncertain, known


class BinaryCrossEntropy(nn.Cell):
    """Mean over voxels and foreground classes k of the binary cross-entropy of z_k = logit_k - logit_0.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.

    All networks have one logit per class, the background included, and inference chooses the class with the largest
    softmax probability. This is consistent with the loss: sigmoid(z_k) > 0.5 exactly if the logit of class k is larger
    than that of the background. With one foreground class, sigmoid(z_1) is its softmax probability, so the loss equals
    both torch's ``BCEWithLogitsLoss`` on a network with one output and softmax cross-entropy. With several classes it
    compares one class with the rest; the softmax of the logits then has the same order, but is not calibrated by the
    loss. A voxel that may belong to several classes does not count for these classes.
    """

    def __init__(self, uncertain: Uncertain | None = None) -> None:
        super().__init__()
        self.uncertain = dict(uncertain or {})

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        logits = logits.astype(ms.float32)
        z = logits[:, 1:] - logits[:, :1]
        wanted = one_hot(target, logits.shape[1])[:, 1:]
        # ln(1 + e^z) - z t, in a form without overflow
        cost = ops.relu(z) - z * wanted + ops.log(1 + ops.exp(-ops.abs(z)))
        if self.uncertain:
            counts = [known(target, (index,), self.uncertain) for index in range(1, logits.shape[1])]
            cost = cost * ops.stack([ops.ones_like(cost[:, 0]) if one is None else one for one in counts], 1)
        return cost.mean()
