"""The networks and single operators that ``kidneyseg benchmark`` measures, in MindSpore and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NetworkCase:
    """A network or operator with the shapes of its input, (N, C, *spatial).

    The build functions import only their own framework.
    """

    build: str  # name of the builder in `in_mindspore` and of the function in `torch_networks`
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    small: tuple[int, ...]  # for tests


NETWORKS = {
    "unet3d": NetworkCase("unet3d", (1, 3, 16, 4), (2, 1, 64, 96, 96), (1, 1, 16, 16, 16)),
    "unet3plus": NetworkCase("unet3plus", (1, 3, 16, 5), (4, 1, 256, 256), (1, 1, 32, 32)),
}
OPERATORS = {
    "convolution 16->16": NetworkCase("conv", (3, 16, 16), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "convolution 96->32": NetworkCase("conv", (3, 96, 32), (1, 96, 32, 64, 64), (1, 96, 4, 8, 8)),
    "convolution 2-D 80->80": NetworkCase("conv", (2, 80, 80), (1, 80, 256, 256), (1, 80, 8, 8)),
    "transposed convolution": NetworkCase("up_conv", (3, 32, 16), (2, 32, 16, 32, 32), (1, 32, 4, 4, 4)),
    "batch norm, ReLU": NetworkCase("norm_relu", (3, 16, "batch"), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "instance norm, ReLU": NetworkCase("norm_relu", (3, 16, "instance"), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "leaky ReLU": NetworkCase("leaky_relu", (), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "max pooling": NetworkCase("max_pool", (3,), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "linear up-sampling": NetworkCase("upsample", (3,), (2, 16, 16, 32, 32), (1, 16, 4, 4, 4)),
}
NETWORK_CASES = {**NETWORKS, **OPERATORS}


def in_mindspore(case: NetworkCase) -> Any:
    """Build the case as an nn.Cell."""
    from mindspore import nn

    from kidneyseg.nets.layers import blocks
    from kidneyseg.nets.layers.norm import make_norm
    from kidneyseg.nets.unet3d import UNet3D
    from kidneyseg.nets.unet3plus import UNet3Plus

    builders: dict[str, Callable[..., Any]] = {
        "unet3d": UNet3D,
        "unet3plus": UNet3Plus,
        "conv": blocks.conv,
        "up_conv": blocks.up_conv,
        "leaky_relu": lambda: nn.LeakyReLU(0.01),
        "max_pool": blocks.max_pool,
        "upsample": blocks.Upsample,
        "norm_relu": lambda _, channels, norm: nn.SequentialCell(make_norm(norm, channels), nn.ReLU()),
    }
    return builders[case.build](*case.arguments)


def in_torch(case: NetworkCase) -> Any:
    """Build the case as a torch.nn.Module, with its own parameters."""
    from kidneyseg.benchmark import torch_networks as twins

    return getattr(twins, case.build)(*case.arguments)
