"""Gates that weigh features by what the network sees: channels (squeeze and excitation) and places (attention gate).

For 2-D (N, C, y, x) and 3-D (N, C, z, y, x) tensors alike.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import SpatialMean, Upsample, conv, make_act

REDUCTION = 16  # channels per hidden unit in Hu's paper
LEAST_HIDDEN = 4  # a single hidden unit behind a ReLU may never be active
OPEN = 3.0  # of a gate's logit: sigmoid(3) = 0.95 lets features through


class Scale(nn.Cell):
    """features (N, C, *S) times a gate of one factor per channel (N, C, 1...) or per place (N, 1, *S): (N, C, *S)."""

    def construct(self, features: ms.Tensor, gate: ms.Tensor) -> ms.Tensor:
        return features * gate


class SqueezeExcite(nn.Cell):
    """Squeeze and excitation: (N, channels, *S) -> the same, each channel times a factor from 0 to 1.

    Hu et al., "Squeeze-and-excitation networks", CVPR 2018: the channels' means go through two fully connected layers
    (here 1 x 1 convolutions) to a sigmoid. There are channels / 16 hidden units as in the paper, but at least 4.
    """

    any_layout = True

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        hidden = max(LEAST_HIDDEN, channels // REDUCTION)
        self.squeeze = SpatialMean()
        self.reduce = conv(dims, channels, hidden, kernel=1)
        self.act = make_act("relu", hidden)
        self.expand = conv(dims, hidden, channels, kernel=1)
        self.sigmoid = nn.Sigmoid()
        self.scale = Scale()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        gate = self.expand(self.act(self.reduce(self.squeeze(x))))
        return self.scale(x, self.sigmoid(gate))


class AttentionGate(nn.Cell):
    """Attention gate on a skip connection: skip (N, skip_ch, *S), signal (N, signal_ch, *S / 2) -> (N, skip_ch, *S).

    Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018, equations 1 and 2: both are
    mapped linearly to skip_ch / 2 channels at the size of the signal, which comes from the next coarser level; their
    sum tells, after ReLU, 1 x 1 convolution and sigmoid, how much of the skip passes at each place. The factors are
    brought to the skip's size by linear interpolation. As in the paper, gates begin nearly open.
    """

    any_layout = True

    def __init__(self, dims: int, skip_ch: int, signal_ch: int) -> None:
        super().__init__()
        middle = max(1, skip_ch // 2)
        self.from_skip = conv(dims, skip_ch, middle, kernel=2, stride=2, bias=False)
        self.from_signal = conv(dims, signal_ch, middle, kernel=1)
        self.act = make_act("relu", middle)
        self.score = conv(dims, middle, 1, kernel=1)
        self.score.bias.set_data(ms.Tensor([OPEN], ms.float32))
        self.sigmoid = nn.Sigmoid()
        self.enlarge = Upsample(dims)
        self.scale = Scale()

    def construct(self, skip: ms.Tensor, signal: ms.Tensor) -> ms.Tensor:
        score = self.score(self.act(self.from_skip(skip) + self.from_signal(signal)))
        return self.scale(skip, self.enlarge(self.sigmoid(score)))
