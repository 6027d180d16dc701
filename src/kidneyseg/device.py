"""Choosing the device MindSpore computes on, and fitting networks to it."""

from __future__ import annotations

import os
from functools import cache

import mindspore as ms
from mindspore import nn

from kidneyseg import ascend_cells, cpu_kernels, nets
from kidneyseg.errors import InputError


def use(name: str = "auto") -> str:
    """Select MindSpore's device, in graph mode and with deterministic kernels.

    Args:
        name: auto, CPU, GPU or Ascend. ``auto`` selects the first of Ascend, GPU, CPU that this MindSpore build finds.

    Of several cards it is number DEVICE_ID (an environment variable, 0 unless set); msrun gives each rank its own.

    Returns:
        The selected device.

    Raises:
        InputError: the device is not available, or DEVICE_ID is not a number.
    """
    card = os.environ.get("DEVICE_ID")
    if card and not card.isdecimal():
        raise InputError(
            "DEVICE_ID", expected="the number of a card, from 0", found=repr(card), remedy="Set a number, or unset it"
        )
    # MindSpore deals out the cards under msrun; otherwise it takes the first one, whatever DEVICE_ID says.
    chosen = (int(card),) if card and "MS_ROLE" not in os.environ else ()
    wanted = ["Ascend", "GPU", "CPU"] if name == "auto" else [name]
    for target in wanted:
        try:
            if target != "CPU" and not ms.hal.is_available(target):
                continue
            ms.set_device(target, *(() if target == "CPU" else chosen))
        except (RuntimeError, ValueError):
            if ms.get_context("device_target") != target:  # otherwise MindSpore already uses this device
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
    """Ask MindSpore for deterministic kernels; a second call in the same process would raise RuntimeError."""
    ms.set_deterministic(True)


def prepare_network(network: nn.Cell, precision: str, device: str) -> nn.Cell:
    """Optimise ``network`` for ``device``.

    Args:
        network: the network; use only the returned one afterwards.
        precision: float32, float16 or bfloat16. On a CPU float32 and bfloat16 run on the project's kernels, float16 on
            those of MindSpore. On Ascend see :mod:`kidneyseg.ascend_cells`.
        device: CPU, GPU or Ascend.

    Returns:
        A network with the same Parameters.

    Raises:
        InputError: bfloat16 on a CPU that has no fast instructions for it, or a precision that MindSpore does not
            document for Ascend.
    """
    if device == "CPU" and precision != "float16":
        return cpu_kernels.accelerate(network, precision)
    if device == "Ascend":
        return ascend_cells.prepare_network(network, precision)
    return nets.apply_precision(network, precision)
