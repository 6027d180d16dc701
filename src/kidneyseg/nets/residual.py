"""Residual learning: He et al., "Deep residual learning for image recognition", CVPR 2016, in the U-shaped networks."""
from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.blocks import ConvNormAct, make_act


class ResidualStage(nn.Cell):
    """(N, channels[0], *S) -> (N, channels[-1], *S) by convolutions, one from each entry of `channels` to the next.

    `shortcut` (N, channels[-1], *S), the stage's input in some form, is added before the last activation.
    """

    def __init__(self, dims: int, channels: list[int], kernel: int, norm: str | None, act: str) -> None:
        super().__init__()
        acts = [act] * (len(channels) - 2) + [None]
        self.convs = nn.SequentialCell([ConvNormAct(dims, before, after, kernel, norm=norm, act=name)
                                        for before, after, name in zip(channels, channels[1:], acts)])
        self.act = make_act(act, channels[-1])

    def construct(self, x: ms.Tensor, shortcut: ms.Tensor) -> ms.Tensor:
        return self.act(self.convs(x) + shortcut)


class ResidualBlock(nn.Cell):
    """A residual stage of 3 x 3 (x 3) convolutions and ReLU whose shortcut is its own input.

    Where the channels differ the shortcut is projected by a convolution of kernel 1 and a norm (the paper's option B).
    """

    def __init__(self, dims: int, channels: list[int], norm: str | None) -> None:
        super().__init__()
        self.stage = ResidualStage(dims, channels, kernel=3, norm=norm, act="relu")
        same = channels[0] == channels[-1]
        self.shortcut = nn.Identity() if same else ConvNormAct(dims, channels[0], channels[-1], 1, norm=norm, act=None)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.stage(x, self.shortcut(x))
