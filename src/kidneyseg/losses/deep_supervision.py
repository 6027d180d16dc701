"""A loss for every output of a network with deep supervision (Lee et al. 2015)."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.recipe import SideOutputs


class DeepSupervision(nn.Cell):
    """loss(logits[0]) + w[1] loss(logits[1]) + w[2] loss(logits[2]) + ..., with the weights of ``side``.

    All logits have the target's size, because the networks up-sample their side outputs. A tensor of logits is treated
    as a tuple of one, so that the same loss can be used for networks without side outputs, and in validation.

    The decay of the weights with the epochs is a Parameter, which is set between steps, so that no new graph is
    compiled.

    Args:
        loss: the loss.
        side: weights of the side outputs.
    """

    def __init__(self, loss: nn.Cell, side: SideOutputs) -> None:
        super().__init__()
        self.loss = loss
        self.side = side
        self.faded = ms.Parameter(ms.Tensor(1, ms.float32), name="side_outputs.faded", requires_grad=False)

    def start_epoch(self, epoch: int) -> None:
        """Set the decay of the side outputs for ``epoch``, counted from 0."""
        ops.assign(self.faded, ms.Tensor(self.side.decay ** (epoch // self.side.every), ms.float32))

    def construct(self, logits: ms.Tensor | tuple[ms.Tensor, ...], target: ms.Tensor) -> ms.Tensor:
        if not isinstance(logits, tuple):
            return self.loss(logits, target)
        total = self.loss(logits[0], target)
        for level in range(1, len(logits)):
            weight = self.side.weight * self.side.falloff ** (level - 1)
            total = total + self.faded * (weight * self.loss(logits[level], target))
        return total
