"""ResNet-34 without classifier in PyTorch, under torchvision's names: He et al., CVPR 2016, table 1."""

from __future__ import annotations

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        x = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(x + shortcut)


class ResNet34(nn.Module):
    """x (N, 3, y, x) -> features of the stem and the four stages; `dilated`: the last of stride 1 and dilation 2."""

    def __init__(self, dilated: bool = False, classes: int = 7) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for number, (blocks, after) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512)), start=1):
            last = dilated and number == 4
            stride, dilation = 1 if number == 1 or last else 2, 2 if last else 1
            stage = [BasicBlock(before, after, stride, dilation)]
            stage += [BasicBlock(after, after, 1, dilation) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*stage))
            before = after
        self.fc = nn.Linear(512, classes)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = [torch.relu(self.bn1(self.conv1(x)))]
        x = nn.functional.max_pool2d(features[0], 3, 2, 1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
            features.append(x)
        return features


def trained(dilated: bool = False) -> ResNet34:
    """One whose every weight and moving statistic is random, in evaluation."""
    generator = torch.Generator().manual_seed(0)
    network = ResNet34(dilated).eval()
    for value in network.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.5)
        elif value.is_floating_point():
            fan_in = value[0].numel()
            value.copy_(torch.randn(value.shape, generator=generator) * fan_in**-0.5)
    return network
