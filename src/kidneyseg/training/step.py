"""One compiled optimisation step: forward, backward, average over ranks, clip, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import amp, nn, ops

from kidneyseg.losses import DeepSupervision
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.mixup import blended_loss

FIRST_SCALE = 2.0**16  # initial loss scale for float16; doubled after GROWTH_STEPS finite steps, halved at an overflow
GROWTH_STEPS = 1000


class StepResult(NamedTuple):
    """Result of a step: the mean loss over all ranks, and whether the weights were updated."""

    loss: float
    updated: bool


class TrainStep:
    """One optimisation step: ``step(image, target, learning_rate) -> StepResult``; with ``mixup`` also ``share``.

    The graph is compiled at the first call and again for every new input shape. Gradients are averaged over the ranks
    and clipped to ``clip_norm``. In float16 the loss is scaled so that small gradients do not become 0. If gradients
    overflow, the step does not change the weights, and the scale is halved.

    Args:
        network: (N, channels, *S) float32 -> logits, or a tuple of them with deep supervision.
        loss: (logits, target (N, *S) int32) -> scalar.
        optimizer: the optimiser.
        clip_norm: maximum global L2 norm of the gradients; 0: not clipped.
        precision: number format of the network; only "float16" needs loss scaling.
        ranks: the ranks.
        mixup: blend each batch with itself in reverse order; ``share`` is the weight of the original order.

    ``run`` is the compiled function.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss: DeepSupervision,
        optimizer: nn.Optimizer,
        *,
        clip_norm: float,
        precision: str,
        ranks: Ranks,
        mixup: bool = False,
    ) -> None:
        scaled = precision == "float16"
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.scaler = amp.DynamicLossScaler(FIRST_SCALE if scaled else 1.0, 2, GROWTH_STEPS)
        self.run = _compile(network, loss, optimizer, clip_norm, self.scaler if scaled else None, ranks, mixup)

    def start_epoch(self, epoch: int) -> None:
        """Tell the loss the epoch, because the weights of side outputs may depend on it."""
        self.loss.start_epoch(epoch)

    def __call__(
        self, image: np.ndarray, target: np.ndarray, learning_rate: float, share: float | None = None
    ) -> StepResult:
        self.network.set_train(True)
        ops.assign(self.optimizer.learning_rate, ms.Tensor(learning_rate, ms.float32))
        shares = () if share is None else (ms.Tensor(share, ms.float32),)
        loss, updated = self.run(ms.Tensor(image), ms.Tensor(target), *shares)
        return StepResult(float(loss.asnumpy()), bool(updated.asnumpy()))

    def stuck(self) -> bool:
        """Tell whether the loss scale cannot be reduced further after a step without update."""
        return float(self.scaler.scale_value.asnumpy()) <= 1


def _compile(
    network: nn.Cell,
    loss: nn.Cell,
    optimizer: nn.Optimizer,
    clip_norm: float,
    scaler: amp.DynamicLossScaler | None,
    ranks: Ranks,
    mixup: bool,
) -> Callable[..., tuple[ms.Tensor, ms.Tensor]]:
    weights = optimizer.parameters
    mean_gradients = nn.DistributedGradReducer(weights, mean=True, degree=ranks.size) if ranks.size > 1 else None
    sum_over_ranks: Any = ops.AllReduce() if ranks.size > 1 else None

    def forward(image: ms.Tensor, target: ms.Tensor, *share: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        value = blended_loss(network, loss, image, target, *share) if mixup else loss(network(image), target)
        return (value if scaler is None else scaler.scale(value)), value

    value_and_gradients = ms.value_and_grad(forward, None, weights, has_aux=True)

    @ms.jit
    def run(image: ms.Tensor, target: ms.Tensor, *share: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        (_, value), gradients = value_and_gradients(image, target, *share)
        if mean_gradients is not None:
            gradients = mean_gradients(gradients)
            value = sum_over_ranks(value) / ranks.size
        if scaler is not None:
            gradients = scaler.unscale(gradients)
        finite = amp.all_finite(gradients)
        if scaler is not None:
            scaler.adjust(finite)
        if finite:
            if clip_norm > 0:
                gradients = ops.clip_by_global_norm(gradients, clip_norm)
            optimizer(gradients)
        return value, finite

    return run
