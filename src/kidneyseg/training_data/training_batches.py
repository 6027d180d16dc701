"""Batches for training on one or several ranks; training can be resumed at any batch.

A batch depends only on seed, epoch and step and, with hard-example mining, on the losses before the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kidneyseg.recipe import Stage
from kidneyseg.training_data.augmentation import Augmentation
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.hard_examples import LossTable
from kidneyseg.training_data.sampler import balance, epoch_order


class TrainingBatches(Batches):
    """Samples selected by ``stage.train.sampler``, shuffled and augmented.

    Step k of an epoch uses the k-th global batch of ``ranks * batch_size`` samples; each rank gets its part. Data sets
    are drawn in proportion to their weights, independent of their numbers of samples.

    Args:
        work, stage, cases, batch_size, rank, ranks: as for `Batches`.
        seed: seed of the order and the augmentation.

    Attributes:
        losses: losses for hard-example mining; None without it.

    Raises:
        InputError: as for `Batches`.
    """

    def __init__(
        self,
        work: str | Path,
        stage: Stage,
        cases: Sequence[str],
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        ranks: int = 1,
    ):
        super().__init__(work, stage, cases, batch_size=batch_size, rank=rank, ranks=ranks)
        self.seed, self.sampler = seed, stage.train.sampler
        kinds = None if self.sampler.foreground is None else self.foreground
        weights = {name: dataset.weight for name, dataset in self.datasets.items()}
        self.weights = self.factors * balance(self.origins, kinds, weights)  # relative frequency of each row
        self.augmentation = Augmentation(stage.train.augment, stage.intensity)
        self.losses = LossTable(len(self.rows)) if self.sampler.mine else None
        self.order = np.zeros(0, int)  # row number at each position of the current epoch

    @property
    def samples(self) -> int:
        return self.sampler.per_epoch or len(self.rows)

    @property
    def steps(self) -> int:
        """Full global batches in one epoch, but at least one."""
        return max(1, self.samples // (self.batch_size * self.ranks))

    def record(self, step: int, loss: float) -> None:
        """Store the loss of the global batch of one step of the current epoch."""
        if self.losses:
            size = self.ranks * self.batch_size
            self.losses.record(self.order[step * size : (step + 1) * size], loss)

    def end_epoch(self) -> None:
        """End the epoch after all its losses are recorded."""
        if self.losses:
            self.losses.end_epoch()

    def _positions(self) -> list[np.ndarray]:
        blocks = np.arange(self.steps * self.ranks * self.batch_size).reshape(self.steps, self.ranks, self.batch_size)
        return list(blocks[:, self.rank])

    def _order(self, epoch: int) -> np.ndarray:
        self.order = epoch_order(
            self.foreground,
            max(self.samples, self.ranks * self.batch_size),
            self.sampler.foreground,
            np.random.default_rng([self.seed, epoch]),
            mine=self.sampler.mine,
            weights=self.weights if np.ptp(self.weights) > 0 else None,
            losses=self.losses.known if self.losses else None,
        )
        return self.order

    def _sample(self, image: np.ndarray, label: np.ndarray, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch, position])
        return self.augmentation.apply(image, label, self.augmentation.draw(rng))
