"""What `kidneyseg benchmark` measures: networks and single operators, each in MindSpore and in PyTorch."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """Shapes are (N, C, *spatial). The build functions import their framework: neither is needed for the other."""

    build: str  # name of the function of MINDSPORE / TORCH below
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    small: tuple[int, ...]  # for a first look, and for tests


NETWORKS = {
    "unet3d": Case("unet3d", (1, 3, 16, 4), (2, 1, 64, 96, 96), (1, 1, 16, 16, 16)),
    "unet3plus": Case("unet3plus", (1, 3, 16, 5), (4, 1, 256, 256), (1, 1, 32, 32)),
}
OPERATORS = {
    "convolution 16->16": Case("conv", (3, 16, 16), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "convolution 96->32": Case("conv", (3, 96, 32), (1, 96, 32, 64, 64), (1, 96, 4, 8, 8)),
    "convolution 2-D 80->80": Case("conv", (2, 80, 80), (1, 80, 256, 256), (1, 80, 8, 8)),
    "transposed convolution": Case("up_conv", (3, 32, 16), (2, 32, 16, 32, 32), (1, 32, 4, 4, 4)),
    "batch norm, ReLU": Case("norm_relu", (3, 16, "batch"), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "instance norm, ReLU": Case("norm_relu", (3, 16, "instance"), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "leaky ReLU": Case("leaky_relu", (), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "max pooling": Case("max_pool", (3,), (2, 16, 32, 64, 64), (1, 16, 4, 8, 8)),
    "linear up-sampling": Case("upsample", (3,), (2, 16, 16, 32, 32), (1, 16, 4, 4, 4)),
}
CASES = {**NETWORKS, **OPERATORS}


def in_mindspore(case: Case):
    """The case as an nn.Cell."""
    from mindspore import nn

    from kidneyseg.nets import blocks
    from kidneyseg.nets.norm import make_norm
    from kidneyseg.nets.unet3d import UNet3D
    from kidneyseg.nets.unet3plus import UNet3Plus

    builders = {"unet3d": UNet3D, "unet3plus": UNet3Plus, "conv": blocks.conv, "up_conv": blocks.up_conv,
                "leaky_relu": lambda: nn.LeakyReLU(0.01), "max_pool": blocks.max_pool, "upsample": blocks.Upsample,
                "norm_relu": lambda _, channels, norm: nn.SequentialCell(make_norm(norm, channels), nn.ReLU())}
    return builders[case.build](*case.arguments)


def in_torch(case: Case):
    """The same as a torch.nn.Module, with parameters of its own."""
    from kidneyseg.cpu import benchmark_torch as twins

    return getattr(twins, case.build)(*case.arguments)
