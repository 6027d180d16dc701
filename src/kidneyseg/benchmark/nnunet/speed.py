"""Selection of the fastest memory layout and precision of a network on this CPU, by measurement."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from kidneyseg.cpu_kernels.processor import multiplies_bfloat16

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Setting:
    """A memory layout and a precision. Weights, loss and optimiser are always float32."""

    channels_last: bool = False
    bfloat16: bool = False

    def __str__(self) -> str:
        layout, precision = ("contiguous", "channels_last")[self.channels_last], ("float32", "bfloat16")[self.bfloat16]
        return f"{layout}, {precision}"

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last_3d if self.channels_last else torch.contiguous_format

    def run(self, network: nn.Module, image: torch.Tensor) -> Any:
        """Run ``network``, which must have this layout, on ``image`` (n, 1, z, y, x)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return network(image.contiguous(memory_format=self.layout))


def settings() -> list[Setting]:
    """List the settings that may be fast on this CPU."""
    halves = (False, True) if multiplies_bfloat16() else (False,)
    return [Setting(last, half) for half in halves for last in (False, True)]


def fastest(
    network: nn.Module,
    make_step: Callable[[nn.Module, Setting], Callable[[Batch], float]],
    batch: Batch,
    seconds: float,
) -> tuple[Setting, dict[str, float]]:
    """Find the setting with the fastest training step.

    Args:
        network: the network; not changed.
        make_step: (network, setting) -> function that trains one step on a batch and returns the loss.
        batch: a batch.
        seconds: time for each setting; at least one step is run.

    Returns:
        The fastest setting, and setting -> seconds per step; infinite if the loss is not finite.
    """
    found = {setting: _time(make_step(copy.deepcopy(network), setting), batch, seconds) for setting in settings()}
    return min(found, key=lambda setting: found[setting]), {str(setting): took for setting, took in found.items()}


def _time(step: Callable[[Batch], float], batch: Batch, seconds: float) -> float:
    took: list[float] = []
    while sum(took) < seconds or not took:
        began = time.perf_counter()
        if not math.isfinite(step(batch)):
            return math.inf
        took.append(time.perf_counter() - began)
    return min(took)
