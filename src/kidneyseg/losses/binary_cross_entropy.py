"""Binary cross-entropy with logits, of each foreground class against the background."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.cross_entropy import one_hot
from kidneyseg.losses.uncertain import Uncertain, known


class BinaryCrossEntropy(nn.Cell):
    """Mean over voxels and foreground classes k of the binary cross-entropy of z_k = logit_k - logit_0.

    Every network here ends in one logit per class, the background's included, and inference takes the class of the
    largest softmax probability. That stays right: sigmoid(z_k) is above a half exactly where class k beats the
    background. With one foreground class sigmoid(z_1) is its softmax probability, so that this is at once torch's
    `BCEWithLogitsLoss` on a network of one output and softmax cross-entropy. With more it is one class against the
    rest, and the softmax of the logits keeps their order but is no longer what the loss calibrates. A voxel that may be
    of several classes costs nothing for these.

    (logits (N, C, *S) float, target (N, *S) int) -> float32 scalar.
    """

    def __init__(self, uncertain: Uncertain | None = None) -> None:
        super().__init__()
        self.uncertain = dict(uncertain or {})

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        logits = logits.astype(ms.float32)
        z = logits[:, 1:] - logits[:, :1]
        wanted = one_hot(target, logits.shape[1])[:, 1:]
        # ln(1 + e^z) - z t, in the form that cannot overflow
        cost = ops.relu(z) - z * wanted + ops.log(1 + ops.exp(-ops.abs(z)))
        if self.uncertain:
            counts = [known(target, (index,), self.uncertain) for index in range(1, logits.shape[1])]
            cost = cost * ops.stack([ops.ones_like(cost[:, 0]) if one is None else one for one in counts], 1)
        return cost.mean()
