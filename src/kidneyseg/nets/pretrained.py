"""Weights of a ResNet-34 that PyTorch trained, for the encoders of this package."""

from __future__ import annotations

import re
from pathlib import Path

import mindspore as ms
import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.nets.layers.norm import BatchNorm
from kidneyseg.nets.resnet import ResNet34
from kidneyseg.nets.torch_file import read_tensors

WIDTH = 64
TORCH_NAMES = (  # (pattern of this project's parameter names, torchvision's name), applied one after the other
    (r"^stem\.conv\.", "conv1."),
    (r"^stem\.norm\.", "bn1."),
    (r"^stages\.(\d+)\.", lambda found: f"layer{int(found[1]) + 1}."),
    (r"\.stage\.convs\.(\d+)\.conv\.", lambda found: f".conv{int(found[1]) + 1}."),
    (r"\.stage\.convs\.(\d+)\.norm\.", lambda found: f".bn{int(found[1]) + 1}."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.gamma$", ".weight"),
    (r"\.beta$", ".bias"),
    (r"\.moving_mean$", ".running_mean"),
    (r"\.moving_variance$", ".running_var"),
)


def load_resnet34(encoder: ResNet34, path: str | Path) -> None:
    """Load the weights of a ResNet-34 into ``encoder``.

    The classifier (``fc``) and the stages that a shallower encoder leaves out are not read. If there are not 3 input
    channels, the weights of the first convolution are summed over RGB and divided equally among the channels, so that a
    grey image in all channels gives the same result as in RGB.

    Args:
        encoder: the encoder.
        path: state dict of ResNet-34, saved by PyTorch with torchvision's names.

    Raises:
        InputError: an encoder without width 64 or without batch norm; a file that cannot be read; tensors that are
            missing, unknown or of another shape. The encoder is then unchanged.
    """
    if encoder.channels[0] != WIDTH or not isinstance(encoder.stem.norm, BatchNorm):
        raise InputError(
            "network.pretrained",
            expected=f"width: {WIDTH} and norm: batch, as ResNet-34 has them",
            found=f"width {encoder.channels[0]}, norm {type(encoder.stem.norm).__name__}",
            remedy="Set these values, or leave out pretrained",
        )
    tensors = {name: value for name, value in read_tensors(path).items() if not _unused(name, len(encoder.stages))}
    wanted = {torch_name(name): parameter for name, parameter in encoder.parameters_and_names()}
    first = tensors.get("conv1.weight")
    channels = encoder.stem.conv.in_channels
    if first is not None and channels != 3 and first.shape[1:2] == (3,):
        tensors["conv1.weight"] = np.repeat(first.sum(1, keepdims=True) / channels, channels, 1)
    _check(tensors, wanted, path)
    for name, parameter in wanted.items():
        parameter.set_data(ms.Tensor(tensors[name], parameter.dtype))


def torch_name(name: str) -> str:
    """Return torchvision's name of the encoder's parameter ``name``."""
    for pattern, replacement in TORCH_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _unused(name: str, stages: int) -> bool:
    """Tell whether an encoder with ``stages`` stages does not use this tensor of a whole ResNet-34."""
    layer = re.match(r"layer([1-4])\.", name)
    return name.startswith("fc.") or name.endswith(".num_batches_tracked") or bool(layer and int(layer[1]) > stages)


def _check(tensors: dict[str, np.ndarray], wanted: dict[str, ms.Parameter], path: str | Path) -> None:
    faults = [f"{name} is missing" for name in sorted(wanted.keys() - tensors.keys())]
    faults += [f"{name} is surplus" for name in sorted(tensors.keys() - wanted.keys())]
    faults += [
        f"{name} is {tensors[name].shape}, not {parameter.shape}"
        for name, parameter in wanted.items()
        if name in tensors and tensors[name].shape != tuple(parameter.shape)
    ]
    if faults:
        shown = "; ".join(faults[:3]) + ("; ..." if len(faults) > 3 else "")
        raise InputError(
            path,
            expected="the weights of a ResNet-34 under torchvision's names",
            found=f"{len(faults)} faults: {shown}",
            remedy="Save the state_dict() of torchvision's resnet34, whole",
        )
