"""Precision as a policy: one class per network, whatever it computes in."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.errors import InputError
from kidneyseg.nets.layers.blocks import SpatialMean
from kidneyseg.nets.layers.norm import NORMS

PRECISIONS = {"float32": ms.float32, "float16": ms.float16, "bfloat16": ms.bfloat16}
HEADS = ("head", "heads")  # the attributes of a network whose outputs are logits
SUMS = (*NORMS.values(), SpatialMean)  # cells that sum over many voxels


def choose_precision(setting: str, device: str) -> str:
    """Returns what a network computes in on `device`: "auto" is float32 on CPU, float16 on Ascend and GPU."""
    if setting != "auto":
        return setting
    return "float32" if device == "CPU" else "float16"


def apply_precision(network: nn.Cell, precision: str) -> nn.Cell:
    """Makes `network` compute in "float32", "float16" or "bfloat16" and returns it.

    Weights stay float32, and so do sums over many voxels (normalisations) and the heads, so that logits are float32.

    Raises InputError for another name. MindSpore has no bfloat16 convolution for CPU; see `device.prepare_network`.
    """
    if precision not in PRECISIONS:
        raise InputError(
            "train.precision",
            expected=f"one of {', '.join(PRECISIONS)}",
            found=repr(precision),
            remedy="Name a precision that exists",
        )
    if precision == "float32":
        return network
    network.to_float(PRECISIONS[precision])
    for name, cell in network.cells_and_names():
        if name.split(".")[0] in HEADS or isinstance(cell, SUMS):
            cell.to_float(ms.float32)
    return network
