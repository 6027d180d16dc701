"""The benchmark's networks and operators in PyTorch, layer for layer those of ``kidneyseg.nets``."""

from __future__ import annotations

import torch
from torch import nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORM = {
    (2, "batch"): nn.BatchNorm2d,
    (3, "batch"): nn.BatchNorm3d,
    (2, "instance"): nn.InstanceNorm2d,
    (3, "instance"): nn.InstanceNorm3d,
}
LINEAR = {2: "bilinear", 3: "trilinear"}


def conv(dims: int, in_ch: int, out_ch: int, kernel: int = 3, bias: bool = True) -> nn.Module:
    return CONV[dims](in_ch, out_ch, kernel, padding=(kernel - 1) // 2, bias=bias)


def up_conv(dims: int, in_ch: int, out_ch: int, bias: bool = True) -> nn.Module:
    return CONV_TRANSPOSE[dims](in_ch, out_ch, 2, 2, bias=bias)


def norm_relu(dims: int, channels: int, norm: str) -> nn.Module:
    return nn.Sequential(NORM[dims, norm](channels, affine=True), nn.ReLU(inplace=True))


def conv_norm_relu(dims: int, in_ch: int, out_ch: int, norm: str) -> nn.Module:
    return nn.Sequential(conv(dims, in_ch, out_ch, bias=False), norm_relu(dims, out_ch, norm))


def double_conv(dims: int, in_ch: int, mid_ch: int, out_ch: int, norm: str) -> nn.Module:
    return nn.Sequential(conv_norm_relu(dims, in_ch, mid_ch, norm), conv_norm_relu(dims, mid_ch, out_ch, norm))


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.01)


def max_pool(dims: int, factor: int = 2) -> nn.Module:
    return MAX_POOL[dims](factor, factor)


def upsample(dims: int, factor: int = 2) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode=LINEAR[dims], align_corners=False)


class unet3d(nn.Module):  # named as the case
    def __init__(self, in_channels: int, classes: int, width: int, depth: int, norm: str = "batch") -> None:
        super().__init__()
        out = [2 * width * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(
            double_conv(3, before, after // 2, after, norm) for before, after in zip([in_channels] + out, out)
        )
        self.pool = max_pool(3)
        self.up = nn.ModuleList(up_conv(3, deep, deep, bias=False) for deep in out[1:])
        self.decoder = nn.ModuleList(double_conv(3, deep + skip, skip, skip, norm) for skip, deep in zip(out, out[1:]))
        self.head = conv(3, out[0], classes, kernel=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, encoder in enumerate(self.encoder):
            x = encoder(x if level == 0 else self.pool(x))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat((skips[level], self.up[level](x)), 1))
        return self.head(x)


def rescale(levels: int) -> nn.Module:
    if levels == 0:
        return nn.Identity()
    return max_pool(2, 2**levels) if levels > 0 else upsample(2, 2**-levels)


class full_scale_node(nn.Module):
    def __init__(self, level: int, channels: list[int], width: int, norm: str) -> None:
        super().__init__()
        depth = len(channels)
        self.rescale = nn.ModuleList(rescale(level - source) for source in range(depth))
        self.reduce = nn.ModuleList(conv_norm_relu(2, source, width, norm) for source in channels)
        self.fuse = conv_norm_relu(2, depth * width, depth * width, norm)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        scales = [reduce(scale(x)) for reduce, scale, x in zip(self.reduce, self.rescale, features)]
        return self.fuse(torch.cat(scales, 1))


class unet3plus(nn.Module):  # named as the case
    def __init__(self, in_channels: int, classes: int, width: int, depth: int, norm: str = "batch") -> None:
        super().__init__()
        out = [width * 2**level for level in range(depth)]
        fused = [depth * width] * (depth - 1) + [out[-1]]
        self.encoder = nn.ModuleList(
            double_conv(2, before, after, after, norm) for before, after in zip([in_channels] + out, out)
        )
        self.pool = max_pool(2)
        self.decoder = nn.ModuleList(
            full_scale_node(level, out[: level + 1] + fused[level + 1 :], width, norm) for level in range(depth - 1)
        )
        self.head = conv(2, fused[0], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: list[torch.Tensor] = []
        for level, encoder in enumerate(self.encoder):
            features.append(encoder(x if level == 0 else self.pool(features[-1])))
        for level in reversed(range(len(self.decoder))):
            features[level] = self.decoder[level](features)
        return self.head(features[0])
