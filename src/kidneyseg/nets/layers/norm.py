"""Normalisation cells for two and three dimensions, in graph mode, on every device.

MindSpore's own cells have three problems: ``nn.BatchNorm3d`` renames its parameters (``bn2d.gamma``), and
``nn.SyncBatchNorm`` and ``nn.InstanceNorm2d/3d`` have no CPU kernel. Here every normalisation has ``gamma`` and
``beta``, and batch norm also ``moving_mean`` and ``moving_variance``, each of shape (channels,). They do not depend on
the device, the number of spatial axes and the number of ranks, so a checkpoint can be loaded with any of these.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.nets.layers.sum_over_ranks import SumOverRanks

EPSILON = 1e-5


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe 2015) of a batch (N, C, *spatial) with two or three spatial axes.

    In training the statistics are those of the batch over all ranks of a distributed run, so that N ranks with one
    patch each train like one process with N patches. The number of ranks is read when the cell is built. As usual, the
    batch is divided by its biased standard deviation, but the moving variance is a mean of unbiased variances.

    Args:
        channels: number of channels.
        momentum: as in MindSpore: moving = momentum * moving + (1 - momentum) * batch (PyTorch: one minus this).
    """

    def __init__(self, channels: int, momentum: float = 0.9) -> None:
        super().__init__(channels, eps=EPSILON, momentum=momentum)
        self.sum_over_ranks = SumOverRanks()
        self.ranks = self.sum_over_ranks.ranks

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.training and self.ranks > 1:
            return self.normalise_over_ranks(x)
        # The kernel supports only 4-D tensors, and the statistics do not depend on the arrangement of the voxels.
        shape = x.shape
        x = ops.reshape(x, (shape[0], shape[1], -1, shape[-1]))
        kernel = self.bn_train if self.training else self.bn_infer
        x = kernel(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        return ops.reshape(x, shape)

    def normalise_over_ranks(self, x: ms.Tensor) -> ms.Tensor:
        """Normalise with the statistics of all ranks, which must have batches of the same shape.

        The variance is computed from squared deviations, not from squared values, to avoid cancellation.
        """
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
        """``self.momentum`` is the share of the new batch: the parent class stores one minus its argument."""
        ops.assign_sub(self.moving_mean, self.momentum * (self.moving_mean - mean))
        ops.assign_sub(self.moving_variance, self.momentum * (self.moving_variance - variance))


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation (Ulyanov 2016) of a batch (N, C, *spatial): each channel of each sample separately.

    Affine, biased variance, epsilon 1e-5, without moving statistics, so the same in training and inference. It is
    implemented as group normalisation with one channel per group, which has kernels on every device, unlike
    ``nn.InstanceNorm3d``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(num_groups=channels, num_channels=channels, eps=EPSILON)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        shape = x.shape
        folded = ops.reshape(x, (shape[0], shape[1], -1, shape[-1]))  # nn.GroupNorm supports only 4-D tensors
        return ops.reshape(super().construct(folded), shape)


NORMS = {"batch": BatchNorm, "instance": InstanceNorm}


def make_norm(name: str | None, channels: int) -> nn.Cell:
    """Build the normalisation called ``name`` ("batch", "instance"), or the identity for None.

    Raises:
        ValueError: another name.
    """
    if name is None:
        return nn.Identity()
    if name not in NORMS:
        raise ValueError(f"norm must be one of {sorted(NORMS)} or None, but is {name!r}")
    return NORMS[name](channels)
