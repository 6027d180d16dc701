"""Gates that weight features: per channel (squeeze and excitation) and per voxel (attention gate).

For 2-D (N, C, y, x) and 3-D (N, C, z, y, x) tensors.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.nets.layers.blocks import SpatialMean, Upsample, conv, make_act

REDUCTION = 16  # channels per hidden unit in Hu's paper
LEAST_HIDDEN = 4  # minimum, because a single hidden unit with a ReLU may never be active
OPEN = 3.0  # initial logit of a gate: sigmoid(3) = 0.95 passes the features


class Scale(nn.Cell):
    """Multiplies features (N, C, *S) by a gate with one factor per channel (N, C, 1...) or per voxel (N, 1, *S)."""

    def construct(self, features: ms.Tensor, gate: ms.Tensor) -> ms.Tensor:
        return features * gate


class SqueezeExcite(nn.Cell):
    """Squeeze and excitation: (N, channels, *S) -> same, each channel multiplied by a factor from 0 to 1.

    Hu et al., "Squeeze-and-excitation networks", CVPR 2018: the factors are computed from the channels' means by two
    fully connected layers (here 1 x 1 convolutions) and a sigmoid. There are channels / 16 hidden units as in the
    paper, but at least 4.
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

    Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018, equations 1 and 2: skip and
    signal, which comes from the next coarser level, are mapped linearly to skip_ch / 2 channels at the signal's size.
    From their sum, a ReLU, a 1 x 1 convolution and a sigmoid compute a factor per voxel, which is interpolated linearly
    to the skip's size and multiplied with the skip. As in the paper, the initial factors are close to 1.
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
