"""Residual blocks: He et al., "Deep residual learning for image recognition", CVPR 2016, for the U-shaped networks."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import ConvNormAct, make_act


class ResidualStage(nn.Cell):
    """(N, channels[0], *S) -> (N, channels[-1], *S), one convolution from each entry of ``channels`` to the next.

    ``shortcut`` (N, channels[-1], *S), the stage's input in some form, is added before the last activation.

    Args:
        stride: stride of the first convolution; shortcut and output have *S / stride.
        dilations: one per convolution; default 1.
    """

    any_layout = True

    def __init__(
        self,
        dims: int,
        channels: list[int],
        kernel: int,
        norm: str | None,
        act: str,
        stride: int = 1,
        dilations: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        count = len(channels) - 1
        strides, acts = [stride] + [1] * (count - 1), [act] * (count - 1) + [None]
        self.convs = nn.SequentialCell(
            [
                ConvNormAct(dims, before, after, kernel, step, dilation, norm, name)
                for before, after, step, dilation, name in zip(
                    channels, channels[1:], strides, dilations or (1,) * count, acts
                )
            ]
        )
        self.act = make_act(act, channels[-1])

    def construct(self, x: ms.Tensor, shortcut: ms.Tensor) -> ms.Tensor:
        return self.act(self.convs(x) + shortcut)


class ResidualBlock(nn.Cell):
    """A residual stage of 3 x 3 (x 3) convolutions and ReLU with its own input as shortcut.

    If channels or sizes differ, the shortcut is projected by a convolution of kernel 1 and a norm (option B of the
    paper).
    """

    any_layout = True

    def __init__(self, dims: int, channels: list[int], norm: str | None, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        first, last = channels[0], channels[-1]
        self.stage = ResidualStage(
            dims, channels, kernel=3, norm=norm, act="relu", stride=stride, dilations=(dilation,) * (len(channels) - 1)
        )
        same = first == last and stride == 1
        self.shortcut = nn.Identity() if same else ConvNormAct(dims, first, last, 1, stride, norm=norm, act=None)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.stage(x, self.shortcut(x))
