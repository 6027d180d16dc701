"""Dropout that is repeated exactly in a resumed run."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from kidneyseg.nets.layers.attention import Scale
from kidneyseg.nets.layers.sum_over_ranks import own_rank

BITS = 31
PRIME = 2**BITS - 1
STEP = 48271  # a primitive root of PRIME (Park and Miller 1988)
ROUNDS = 4


class ChannelDropout(nn.Cell):
    """Dropout of whole channels of (N, C, *S), each with probability ``p``; the rest is divided by 1 - p.

    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015: neighbouring voxels of a
    feature map are similar, so dropping single voxels would have little effect. Outside training it is the identity.

    The dropped channels depend on a seed, which is drawn when the cell is built, the rank, and the parameter ``draws``,
    which counts the batches and is stored with the weights. So a run resumed from a checkpoint drops the same channels
    as an uninterrupted run. This is not possible with ``nn.Dropout``, whose random state is not accessible.
    """

    any_layout = True

    def __init__(self, p: float) -> None:
        super().__init__()
        self.keep = 1 - p
        self.seed = (int(np.random.randint(PRIME)) + STEP * own_rank()) % PRIME
        self.draws = ms.Parameter(ms.Tensor(0, ms.int64), name="draws", requires_grad=False)
        self.scale = Scale()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if not self.training:
            return x
        kept = self.uniform(x.shape[0] * x.shape[1]) < self.keep
        ops.assign_add(self.draws, ms.Tensor(1, ms.int64))
        gate = ops.reshape(ops.cast(kept, x.dtype) / self.keep, x.shape[:2] + (1,) * (x.ndim - 2))
        return self.scale(x, gate)

    def uniform(self, count: int) -> ms.Tensor:
        """Draw ``count`` numbers in 0-1, (count,) float32: a hash of seed, draw and index by squaring mod a prime."""
        key = self.remainder(self.seed + self.draws * STEP)
        number = self.remainder(ms.Tensor(np.arange(count) * STEP % PRIME, ms.int64) + key)
        for _ in range(ROUNDS):
            number = self.remainder(number * number + key)
        return ops.cast(number, ms.float32) / PRIME

    def remainder(self, number: ms.Tensor) -> ms.Tensor:
        """`number` % PRIME, of int64 from 0 to 2^62 + 2^32.

        By shifts, which are exact everywhere: MindSpore says that `%` may be inexact above 2048, and another on an
        Ascend than on a CPU. A number's bits above the 31st count its multiples of 2^31, which leave 1 each.
        """
        for _ in range(2):
            number = ops.bitwise_and(number, PRIME) + ops.bitwise_right_shift(number, BITS)
        return ops.where(number < PRIME, number, number - PRIME)
