"""Number format of a network, independent of its class."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.errors import InputError
from kidneyseg.nets.layers.blocks import SpatialMean
from kidneyseg.nets.layers.norm import NORMS

PRECISIONS = {"float32": ms.float32, "float16": ms.float16, "bfloat16": ms.bfloat16}
HEADS = ("head", "heads")  # attributes of a network that compute the logits
SUMS = (*NORMS.values(), SpatialMean)  # cells that sum over many voxels


def choose_precision(setting: str, device: str) -> str:
    """Return the number format of a network on ``device``: "auto" is float32 on CPU, float16 on Ascend and GPU."""
    if setting != "auto":
        return setting
    return "float32" if device == "CPU" else "float16"


def apply_precision(network: nn.Cell, precision: str) -> nn.Cell:
    """Set ``network`` to compute in "float32", "float16" or "bfloat16", and return it.

    Weights, sums over many voxels (normalisations) and heads stay float32, so that logits are float32. MindSpore has no
    bfloat16 convolution for CPU; see ``device.prepare_network``.

    Raises:
        InputError: another precision.
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
