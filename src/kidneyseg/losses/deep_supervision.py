"""Any loss applied to every output of a network with deep supervision."""
from __future__ import annotations

import mindspore as ms
from mindspore import nn


class DeepSupervision(nn.Cell):
    """loss(logits[0]) + decay * loss(logits[1]) + decay^2 * loss(logits[2]) + ...

    All logits have the target's size (the networks up-sample their side outputs). A plain tensor of logits counts as
    a tuple of one, so that the same loss serves networks without side outputs, and validation.
    """

    def __init__(self, loss: nn.Cell, decay: float = 0.5) -> None:
        super().__init__()
        self.loss = loss
        self.decay = decay

    def construct(self, logits: ms.Tensor | tuple[ms.Tensor, ...], target: ms.Tensor) -> ms.Tensor:
        if not isinstance(logits, tuple):
            return self.loss(logits, target)
        total = self.loss(logits[0], target)
        for level in range(1, len(logits)):
            total = total + self.decay**level * self.loss(logits[level], target)
        return total
