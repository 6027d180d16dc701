"""The optimisers of the recipe; weight decay is never applied to normalisation parameters and biases."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.recipe import Train

MOMENTUM = 0.99  # of SGD with Nesterov momentum, as in nnU-Net
UNDECAYED = ("gamma", "beta", "bias")


class AdamW(nn.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    ``nn.AdamWeightDecay`` leaves out the bias correction of Adam's moments; this class keeps it, as PyTorch does.
    """

    def __init__(self, groups: list[dict], learning_rate: float) -> None:
        decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
        super().__init__([p for group in groups for p in group["params"]], learning_rate)
        self.decays = tuple(decays[id(p)] for p in self._parameters)

    @ms.jit  # like the parent's method; in PyNative mode its ms.jit would otherwise compile this method instead
    def construct(self, gradients: tuple[ms.Tensor, ...]) -> bool:
        for parameter, decay in zip(self._parameters, self.decays):
            if decay > 0:
                ops.assign(parameter, parameter * (1 - self.learning_rate * decay))
        return super().construct(gradients)


def build(spec: Train, network: nn.Cell) -> nn.Optimizer:
    """Build the optimiser of ``spec`` for the trainable parameters of ``network``.

    Its ``learning_rate`` is a Parameter that the training step sets, so the graph does not contain the schedule.
    ``adam`` and ``sgd`` add the weight decay to the gradient (L2), ``adamw`` subtracts it from the weight.
    """
    parameters = network.trainable_params()
    spared = [p for p in parameters if p.name.split(".")[-1] in UNDECAYED]
    decayed = [p for p in parameters if p.name.split(".")[-1] not in UNDECAYED]
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((decayed, spec.weight_decay), (spared, 0.0))
        if group
    ]
    if spec.optimizer == "adamw":
        return AdamW(groups, spec.schedule.start)
    if spec.optimizer == "sgd":
        return nn.SGD(groups, spec.schedule.start, momentum=MOMENTUM, nesterov=True)
    return nn.Adam(groups, spec.schedule.start)
