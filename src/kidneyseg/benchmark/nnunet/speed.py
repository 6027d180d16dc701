"""The fastest way to compute a network on this CPU, tried out as a careful user would."""

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
    """A memory layout and a precision. Weights, loss and optimiser are float32 in any case."""

    channels_last: bool = False
    bfloat16: bool = False

    def __str__(self) -> str:
        layout, precision = ("contiguous", "channels_last")[self.channels_last], ("float32", "bfloat16")[self.bfloat16]
        return f"{layout}, {precision}"

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last_3d if self.channels_last else torch.contiguous_format

    def run(self, network: nn.Module, image: torch.Tensor) -> Any:
        """``network``, which lies in this layout, of ``image`` (n, 1, z, y, x): a tensor, or a list of them."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return network(image.contiguous(memory_format=self.layout))


def settings() -> list[Setting]:
    """Those that this CPU may be fast with."""
    halves = (False, True) if multiplies_bfloat16() else (False,)
    return [Setting(last, half) for half in halves for last in (False, True)]


def fastest(
    network: nn.Module,
    make_step: Callable[[nn.Module, Setting], Callable[[Batch], float]],
    batch: Batch,
    seconds: float,
) -> tuple[Setting, dict[str, float]]:
    """The setting with the fastest training step, and the seconds of each; infinite where the loss is not finite.

    Args:
        network: stays as it is.
        make_step: makes of a network and a setting what trains one step and returns the loss.
        seconds: for which each is tried; one step at least.
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
