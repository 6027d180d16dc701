"""Segmentation networks, one per file. Each maps (N, in_channels, *S) to logits (N, classes, *S)."""
from __future__ import annotations

import inspect

from mindspore import nn

from kidneyseg.errors import InputError, nearest
from kidneyseg.nets.precision import apply_precision, choose_precision
from kidneyseg.nets.unet2d import UNet2D
from kidneyseg.nets.unet3d import UNet3D
from kidneyseg.nets.unet3plus import UNet3Plus
from kidneyseg.nets.unetpp import UNetPP
from kidneyseg.nets.vnet3d import VNet3D
from kidneyseg.recipe import Network

__all__ = ["NETWORKS", "apply_precision", "build", "choose_precision"]

NETWORKS = {
    "unet2d": UNet2D,
    "unet3d": UNet3D,
    "unet3plus": UNet3Plus,
    "unetpp": UNetPP,
    "vnet3d": VNet3D,
}


def build(spec: Network, classes: int, in_channels: int = 1) -> nn.Cell:
    """Returns the network of a recipe, for `classes` classes including the background.

    Raises InputError for an unknown name, and for deep supervision of a network without side outputs.
    """
    if spec.name not in NETWORKS:
        raise InputError("network.name", expected=f"one of {', '.join(NETWORKS)}", found=repr(spec.name),
                         remedy=nearest(spec.name, list(NETWORKS)) or "Name a network that exists")
    network = NETWORKS[spec.name]
    options = {}
    if spec.deep_supervision:
        supervised = [name for name, cls in NETWORKS.items() if _has_side_outputs(cls)]
        if spec.name not in supervised:
            raise InputError(f"network {spec.name!r}", expected="deep_supervision: false",
                             found="deep_supervision: true, but it has no side outputs",
                             remedy=f"Turn it off or use {' or '.join(supervised)}")
        options["deep_supervision"] = True
    return network(in_channels, classes, width=spec.width, depth=spec.depth, norm=spec.norm, **options)


def _has_side_outputs(network: type[nn.Cell]) -> bool:
    return "deep_supervision" in inspect.signature(network).parameters
