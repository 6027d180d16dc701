"""Choosing the device MindSpore computes on, and fitting networks to it."""

from __future__ import annotations

from functools import cache

import mindspore as ms
from mindspore import nn

from kidneyseg import ascend_cells, cpu_kernels, nets
from kidneyseg.errors import InputError


def use(name: str = "auto") -> str:
    """Make ``name`` (auto, CPU, GPU or Ascend) MindSpore's device, in graph mode, with deterministic kernels.

    Returns:
        The device chosen; ``auto`` takes the first of Ascend, GPU, CPU that this MindSpore build finds.

    Raises:
        InputError: the device is not there.
    """
    wanted = ["Ascend", "GPU", "CPU"] if name == "auto" else [name]
    for target in wanted:
        try:
            if target != "CPU" and not ms.hal.is_available(target):
                continue
            ms.set_device(target)
        except (RuntimeError, ValueError):
            if ms.get_context("device_target") != target:  # else MindSpore is at work on it already
                continue
        ms.set_context(mode=ms.GRAPH_MODE)
        if target != "CPU":
            _make_deterministic()
        return target
    raise InputError(
        f"device {name}",
        expected="a device this MindSpore build can use",
        found=f"no {name}",
        remedy="Use --device CPU, or install the driver and the MindSpore build for it",
    )


@cache
def _make_deterministic() -> None:
    """MindSpore takes this once in a process, and raises RuntimeError when it is said again."""
    ms.set_deterministic(True)


def prepare_network(network: nn.Cell, precision: str, device: str) -> nn.Cell:
    """``network`` as ``device`` computes it best; use what is returned, it has the same Parameters.

    Args:
        precision: float32, float16 or bfloat16. On CPU the first and the last run on the project's own kernels, float16
            on MindSpore's. On Ascend see :mod:`kidneyseg.ascend_cells`.

    Raises:
        InputError: bfloat16 on a CPU that is not faster with it, or what MindSpore does not document for Ascend.
    """
    if device == "CPU" and precision != "float16":
        return cpu_kernels.accelerate(network, precision)
    if device == "Ascend":
        return ascend_cells.prepare_network(network, precision)
    return nets.apply_precision(network, precision)
