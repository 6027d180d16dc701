"""Normalisation cells that work in two and three dimensions, in graph mode, on every device.

MindSpore's own cells leave three gaps: `nn.BatchNorm3d` renames its parameters (`bn2d.gamma`), `nn.SyncBatchNorm` has
no CPU kernel and `nn.InstanceNorm2d/3d` have none either. Here every normalisation has `gamma` and `beta`, and batch
norm also `moving_mean` and `moving_variance`, each of shape (channels,), whatever the device, the number of spatial
axes and the number of ranks: a checkpoint made with one loads with another.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.nets.layers.sum_over_ranks import SumOverRanks

EPSILON = 1e-5


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe 2015) of a batch (N, C, *spatial) with two or three spatial axes.

    In training the statistics are those of the batch over all ranks of a distributed run, so that N ranks with one
    patch each train like one process with N patches. Whether the run is distributed is read when the cell is built.
    `momentum` is MindSpore's: moving = momentum * moving + (1 - momentum) * batch (PyTorch's is one minus this).
    As everywhere, the batch is divided by its biased deviation while the moving variance gathers unbiased ones.
    """

    def __init__(self, channels: int, momentum: float = 0.9) -> None:
        super().__init__(channels, eps=EPSILON, momentum=momentum)
        self.sum_over_ranks = SumOverRanks()
        self.ranks = self.sum_over_ranks.ranks

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.training and self.ranks > 1:
            return self.normalise_over_ranks(x)
        # The kernel knows 4-D tensors only, and the statistics do not care how voxels are arranged.
        shape = x.shape
        x = ops.reshape(x, (shape[0], shape[1], -1, shape[-1]))
        kernel = self.bn_train if self.training else self.bn_infer
        x = kernel(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        return ops.reshape(x, shape)

    def normalise_over_ranks(self, x: ms.Tensor) -> ms.Tensor:
        """Every rank must hold a batch of the same shape. Deviations are squared, not values: no cancellation."""
        axes = tuple(range(2, x.ndim))
        channels = (1, -1) + (1,) * (x.ndim - 2)
        mean = self.sum_over_ranks(x.mean(axes).mean(0)) / self.ranks
        deviation = x - ops.reshape(mean, channels)
        variance = self.sum_over_ranks((deviation * deviation).mean(axes).mean(0)) / self.ranks
        scale = self.gamma * ops.rsqrt(variance + self.eps)
        count = self.ranks * x.size // x.shape[1]
        self.update_moving(ops.stop_gradient(mean), ops.stop_gradient(variance) * (count / (count - 1)))
        return deviation * ops.reshape(scale, channels) + ops.reshape(self.beta, channels)

    def update_moving(self, mean: ms.Tensor, variance: ms.Tensor) -> None:
        """`self.momentum` is the share of the new batch: the parent class stores one minus its argument."""
        ops.assign_sub(self.moving_mean, self.momentum * (self.moving_mean - mean))
        ops.assign_sub(self.moving_variance, self.momentum * (self.moving_variance - variance))


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation (Ulyanov 2016) of a batch (N, C, *spatial): each channel of each sample by itself.

    Affine, biased variance, epsilon 1e-5, no moving statistics: the same in training and inference. It is group
    normalisation with one channel per group, which unlike `nn.InstanceNorm3d` has kernels on every device.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(num_groups=channels, num_channels=channels, eps=EPSILON)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        shape = x.shape
        folded = ops.reshape(x, (shape[0], shape[1], -1, shape[-1]))  # nn.GroupNorm takes 4-D tensors only
        return ops.reshape(super().construct(folded), shape)


NORMS = {"batch": BatchNorm, "instance": InstanceNorm}


def make_norm(name: str | None, channels: int) -> nn.Cell:
    """Returns the normalisation called `name` ("batch", "instance"), or the identity for None.

    Raises ValueError for any other name.
    """
    if name is None:
        return nn.Identity()
    if name not in NORMS:
        raise ValueError(f"norm must be one of {sorted(NORMS)} or None, but is {name!r}")
    return NORMS[name](channels)
