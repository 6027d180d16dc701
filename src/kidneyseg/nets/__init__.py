"""Segmentation networks, one per file. Each maps (N, in_channels, *S) to logits (N, classes, *S).

A cell sets ``any_layout = True`` if its ``construct`` uses tensors only in other cells and in element-wise operations.
The CPU kernels then run it completely in channels-last layout, without conversions in between.
"""

from __future__ import annotations

import inspect

from mindspore import nn

from kidneyseg.errors import InputError, did_you_mean
from kidneyseg.nets.deeplabv3plus import DeepLabV3Plus
from kidneyseg.nets.isensee3d import Isensee3D
from kidneyseg.nets.ms_vnet25d import MultiScaleVNet25D
from kidneyseg.nets.precision import apply_precision, choose_precision
from kidneyseg.nets.resunet3d import ResUNet3D
from kidneyseg.nets.resunet25d import ResUNet25D
from kidneyseg.nets.unet2d import UNet2D
from kidneyseg.nets.unet3d import UNet3D
from kidneyseg.nets.unet3plus import UNet3Plus
from kidneyseg.nets.unet_resnet34 import UNetResNet34
from kidneyseg.nets.unetpp import UNetPP
from kidneyseg.nets.vnet3d import VNet3D
from kidneyseg.recipe import Network

__all__ = ["NETWORKS", "apply_precision", "build_network", "choose_precision"]

NETWORKS = {
    "deeplabv3plus": DeepLabV3Plus,
    "isensee3d": Isensee3D,
    "ms_vnet25d": MultiScaleVNet25D,
    "resunet25d": ResUNet25D,
    "resunet3d": ResUNet3D,
    "unet2d": UNet2D,
    "unet3d": UNet3D,
    "unet3plus": UNet3Plus,
    "unet_resnet34": UNetResNet34,
    "unetpp": UNetPP,
    "vnet3d": VNet3D,
}
# Settings of a recipe's network that only some networks support: those with a parameter of this name.
OPTIONS = ("deep_supervision", "residual", "attention", "pretrained")


def build_network(spec: Network, classes: int, in_channels: int = 1, pretrained: bool = True) -> nn.Cell:
    """Build the network of a recipe.

    Args:
        spec: the network settings.
        classes: number of classes, the background included.
        in_channels: input channels.
        pretrained: whether to read the file of ``spec.pretrained``; False if a checkpoint is loaded afterwards.

    Raises:
        InputError: an unknown name, or an option that the network does not support.
    """
    if spec.name not in NETWORKS:
        raise InputError(
            "network.name",
            expected=f"one of {', '.join(NETWORKS)}",
            found=repr(spec.name),
            remedy=did_you_mean(spec.name, list(NETWORKS)) or "Name a network that exists",
        )
    options = {name: getattr(spec, name) for name in OPTIONS if getattr(spec, name)}
    if not pretrained:
        options.pop("pretrained", None)
    for option, value in options.items():
        able = [name for name, network in NETWORKS.items() if option in inspect.signature(network).parameters]
        if spec.name not in able:
            raise InputError(
                f"network {spec.name!r}",
                expected=f"no {option}, which it does not have",
                found=f"{option}: {value}",
                remedy=f"Leave it out or use {' or '.join(able)}",
            )
    return NETWORKS[spec.name](in_channels, classes, width=spec.width, depth=spec.depth, norm=spec.norm, **options)
