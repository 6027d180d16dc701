"""Soft Dice of regions, which are unions of classes, such as kidney with tumour."""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops

from kidneyseg.losses.uncertain import Uncertain, inside, known
from kidneyseg.nets.layers.sum_over_ranks import SumOverRanks

SMOOTHING = 1.0  # voxels; a region that is empty in target and prediction has Dice 1


class SoftDice(nn.Cell):
    """Dice of each region between softmax probabilities p and a label map: (2 sum(p t) + 1) / (sum p + sum t + 1).

    (logits (N, C, *S) float, target (N, *S) int) -> Dice in (0, 1], float32, of shape (regions,), or (regions, N)
    without ``batch``.

    Args:
        regions: class indices of each region, for example ((1, 2), (2,)) for kidney with tumour and for tumour. The
            probability of a region is the sum over its classes. None: every class except the background.
        batch: sum over the batch, and over all ranks of a distributed run, before the division, which is more stable if
            many samples do not have a region. Otherwise each sample has its own Dice.
        uncertain: target code -> classes. Voxels that may or may not be in a region do not count in its Dice.

    Raises:
        ValueError: a region names a class that the logits do not have.
    """

    def __init__(
        self, regions: tuple[tuple[int, ...], ...] | None = None, batch: bool = True, uncertain: Uncertain | None = None
    ) -> None:
        super().__init__()
        self.regions = regions
        self.batch = batch
        self.uncertain = dict(uncertain or {})
        self.sum_over_ranks = SumOverRanks()

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        classes = logits.shape[1]
        regions = self.regions if self.regions is not None else tuple([(index,) for index in range(1, classes)])
        probabilities = ops.unstack(ops.softmax(logits.astype(ms.float32), axis=1), 1)
        axes = tuple(range(0 if self.batch else 1, target.ndim))
        overlaps, sizes = [], []
        for region in regions:
            if max(region) >= classes:
                raise ValueError(f"a loss region names class {max(region)}, but there are only classes 0-{classes - 1}")
            p = probabilities[region[0]]
            for index in region[1:]:
                p = p + probabilities[index]
            t = inside(target, region, self.uncertain).astype(ms.float32)
            counts = known(target, region, self.uncertain)
            if counts is not None:
                p = p * counts
            overlaps.append((p * t).sum(axes))
            sizes.append((p + t).sum(axes))
        overlap, size = ops.stack(overlaps), ops.stack(sizes)
        if self.batch:
            overlap, size = self.sum_over_ranks(overlap), self.sum_over_ranks(size)
        return (2 * overlap + SMOOTHING) / (size + SMOOTHING)


class DiceLoss(nn.Cell):
    """1 - mean Dice of the regions: (logits (N, C, *S) float, target (N, *S) int32) -> float32 scalar from 0 to 1.

    Args:
        regions, batch, uncertain: as for ``SoftDice``.
        weights: one per class, the background first, not all 0. The mean is then taken over all single classes, the
            background included, with these weights (for a small foreground, for example, 0.01 and 0.99).
    """

    def __init__(
        self,
        regions: tuple[tuple[int, ...], ...] | None = None,
        batch: bool = True,
        weights: Sequence[float] | None = None,
        uncertain: Uncertain | None = None,
    ) -> None:
        super().__init__()
        self.shares = None
        if weights is not None:
            regions = tuple((index,) for index in range(len(weights)))
            self.shares = ms.Tensor([weight / sum(weights) for weight in weights], ms.float32)
        self.dice = SoftDice(regions, batch, uncertain)

    def construct(self, logits: ms.Tensor, target: ms.Tensor) -> ms.Tensor:
        dice = self.dice(logits, target)
        if self.shares is None:
            return 1 - dice.mean()
        return 1 - (ops.reshape(dice, (dice.shape[0], -1)).mean(1) * self.shares).sum()
