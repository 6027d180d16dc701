"""Training for a given time: SGD with Nesterov momentum; the learning rate depends on the elapsed fraction of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn
from tqdm import tqdm

from kidneyseg.benchmark.nnunet.patches import Patches
from kidneyseg.benchmark.nnunet.speed import Batch, Setting
from kidneyseg.errors import InputError

RATE, MOMENTUM, DECAY, POWER = 1e-2, 0.99, 3e-5, 0.9
GRADIENT_NORM = 12


class Step:
    """One training step of ``network``, which is converted to the layout of ``setting``."""

    def __init__(self, network: nn.Module, loss: nn.Module, setting: Setting) -> None:
        self.network, self.loss, self.setting = network.train().to(memory_format=setting.layout), loss, setting
        self.optimiser = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)

    def __call__(self, batch: Batch, share: float = 0.0) -> float:
        """Train one step and return the loss; ``share``, the elapsed fraction of time in [0, 1), sets the rate."""
        image, classes = batch
        self.optimiser.param_groups[0]["lr"] = RATE * (1 - share) ** POWER
        self.optimiser.zero_grad()
        loss = self.loss(self.setting.run(self.network, image), classes)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimiser.step()
        return loss.item()


def train(step: Step, patches: Patches, seconds: float, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Train for at most ``seconds``; returns the loss of every step.

    The next batch is drawn in another thread. A step is started only if it will probably end in time, except the first.

    Raises:
        InputError: the loss is not finite.
    """
    losses: list[float] = []
    began, passed = clock(), 0.0
    with ThreadPoolExecutor(1) as loader, tqdm(total=round(seconds), desc="nnU-Net", unit="s", disable=None) as bar:
        coming = loader.submit(patches.batch)
        while not losses or passed * (1 + 1 / len(losses)) <= seconds:
            batch, coming = coming.result(), loader.submit(patches.batch)
            losses.append(step(batch, passed / seconds))
            if not math.isfinite(losses[-1]):
                raise InputError(
                    "benchmark train",
                    expected="a finite loss",
                    remedy="Check the scans' intensities",
                    found=f"{losses[-1]} after {len(losses)} steps",
                )
            passed = clock() - began
            bar.update(min(round(passed), bar.total) - bar.n)
            bar.set_postfix(loss=f"{losses[-1]:.3f}", steps=len(losses))
    return losses
