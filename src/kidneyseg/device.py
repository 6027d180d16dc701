"""Choosing the device MindSpore computes on."""

from __future__ import annotations

import mindspore as ms

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
            ms.set_deterministic(True)
        return target
    raise InputError(
        f"device {name}", expected="a device this MindSpore build can use", found=f"no {name}",
        remedy="Use --device CPU, or install the driver and the MindSpore build for it",
    )
