"""Sums over the processes (ranks) of a distributed run, for statistics of the whole batch."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops
from mindspore.communication import GlobalComm, get_group_size, get_rank


def count_ranks() -> int:
    """Return the number of processes that train together: 1 unless ``mindspore.communication.init()`` was called."""
    return get_group_size() if GlobalComm.INITED else 1


def own_rank() -> int:
    """Return the number of this process among them, from 0."""
    return get_rank() if GlobalComm.INITED else 0


class SumOverRanks(nn.Cell):
    """Sums a tensor over all ranks; with one rank it is the identity. The number of ranks is read when it is built.

    The gradient is also summed over the ranks: each rank gets the gradient of the *sum* of all ranks' losses. After the
    training step has averaged the gradients over the ranks, this is the gradient of the mean loss, exactly as in one
    process with the whole batch. No other factor is needed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ranks = count_ranks()
        if self.ranks > 1:
            self.all_reduce = ops.AllReduce()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.all_reduce(x) if self.ranks > 1 else x


def keep_to_own_rank(cell: nn.Cell) -> nn.Cell:
    """``cell``, just built, now summing over its own rank alone: for ranks that call it different numbers of times."""
    for _, part in cell.cells_and_names():
        if isinstance(part, SumOverRanks):
            part.ranks = 1
    return cell
