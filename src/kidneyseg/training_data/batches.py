"""Batches of prepared samples, for training on one or several ranks; training can be resumed at any batch.

A batch depends only on seed, epoch and step and, with hard-example mining, on the losses before the epoch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from kidneyseg.cohort.case import DataSet
from kidneyseg.cohort.datasets import work_datasets
from kidneyseg.errors import InputError
from kidneyseg.preprocessing.class_codes import class_table, classes_of
from kidneyseg.preprocessing.image import stack_slices
from kidneyseg.recipe import Stage
from kidneyseg.training_data.augmentation import Augmentation
from kidneyseg.training_data.hard_examples import LossTable
from kidneyseg.training_data.mindrecord import Record, read_records, require_unchanged
from kidneyseg.training_data.prepared_case import PreparedCase, PreparedStage, case_folder, record_file, stage_settings
from kidneyseg.training_data.sampler import balance, epoch_order
from kidneyseg.volume.intensity import moments, normalise

Batch = tuple[np.ndarray, np.ndarray, list[str]]
AHEAD = 2  # batches prepared while the network computes


class Batches:
    """The prepared samples of several cases for one stage, in batches.

    For training, samples are selected by ``stage.train.sampler``, shuffled and augmented. Step k of an epoch uses the
    k-th global batch of ``ranks * batch_size`` samples; each rank gets its part. Data sets are drawn in proportion to
    their weights, independent of their numbers of samples. For validation, every sample comes once, in order and
    without augmentation: the batches are those of one process, and each rank gets consecutive ones, the first ranks one
    more if they cannot be divided evenly. Cases of data sets with weight 0 are left out.

    Args:
        work: the folder that ``kidneyseg prepare`` filled.
        stage: the stage.
        cases: names of the cases.
        train: True for training, False for validation, which ignores ``rank`` and ``ranks``.
        seed: seed of the order and the augmentation.
        batch_size: samples per batch of one rank.
        rank: number of this process, from 0.
        ranks: number of processes.

    Attributes:
        losses: losses for hard-example mining; None without it.
        uncertain: target code -> classes, for the codes of voxels that may belong to several classes.

    Raises:
        InputError: a case is not prepared, was prepared with other settings, or no case has any sample.
    """

    def __init__(
        self,
        work: str | Path,
        stage: Stage,
        cases: Sequence[str],
        *,
        train: bool,
        seed: int,
        batch_size: int,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.stage, self.train, self.seed, self.batch_size = stage, train, seed, batch_size
        self.rank, self.ranks = rank, ranks
        self.uncertain: dict[int, tuple[int, ...]] = {}
        self.paths: list[Path] = []
        self.rows: list[tuple[str, int]] = []  # (case, index in its file) in the order in which the files are read
        self.foreground = np.zeros(0, bool)
        self.weights = np.zeros(0)  # relative frequency with which each row is drawn
        self.stacks = np.zeros((0, stage.channels), int)  # per row, the rows whose images are the network's channels
        datasets = work_datasets(work)
        origins: list[str] = []  # data set of each row
        for case in cases:
            self._add(Path(work), case, datasets, origins)
        if not self.rows:
            raise InputError(
                Path(work) / "prepared",
                expected=f"samples of stage {stage.name!r} in cases {list(cases)}",
                found="none",
                remedy="Choose a fold whose cases have kidneys, or check the labels",
            )
        self.weights *= balance(
            origins,
            None if stage.train.sampler.foreground is None else self.foreground,
            {name: one.weight for name, one in datasets.items()},
        )
        self.augmentation = Augmentation(stage.train.augment, stage.intensity)
        self.losses = LossTable(len(self.rows)) if train and stage.train.sampler.mine else None
        self.order = np.zeros(0, int)  # row number at each position of the current epoch

    def _add(self, work: Path, case: str, datasets: Mapping[str, DataSet], origins: list[str]) -> None:
        folder = case_folder(work, case)
        made = PreparedCase.read(folder)
        if made.dataset in datasets and datasets[made.dataset].weight == 0:
            return
        if made.settings["stages"].get(self.stage.name) != stage_settings(self.stage):
            raise InputError(
                folder,
                expected=f"records made with the recipe's settings of stage {self.stage.name!r}",
                found="others",
                remedy="Run kidneyseg prepare with this recipe",
            )
        prepared = made.stages[self.stage.name]
        flags = prepared.foreground
        if flags:
            self.paths.append(record_file(folder, case, self.stage.name))
            require_unchanged(self.paths[-1], prepared.digests)
            self.stacks = np.append(self.stacks, len(self.rows) + self._stacks(prepared), axis=0)
            self.rows += [(case, index) for index in range(len(flags))]
            self.foreground = np.append(self.foreground, flags)
            factors = self.stage.train.sampler.labels
            weight = np.prod([factor for label, factor in factors.items() if label in made.labels])
            self.weights = np.append(self.weights, np.full(len(flags), weight))
            origins += [made.dataset] * len(flags)
            codes = set(class_table(self.stage.targets, made.uncertain).tolist()) - set(range(self.stage.classes))
            self.uncertain |= {code: classes_of(code) for code in codes}

    def _stacks(self, prepared: PreparedStage) -> np.ndarray:
        """Return (rows, channels): for each row of a case's file, the rows of its stack; slices are stored once."""
        if self.stage.channels == 1:
            return np.arange(len(prepared.foreground))[:, None]
        depths = [grid.shape[0] for grid in prepared.roi_grids()]
        firsts = np.cumsum([0, *depths])
        return np.concatenate(
            [first + stack_slices(depth, self.stage.channels) for first, depth in zip(firsts, depths)]
        )

    @property
    def samples(self) -> int:
        """Samples in one epoch, summed over all ranks."""
        per_epoch = self.stage.train.sampler.per_epoch
        return per_epoch if self.train and per_epoch else len(self.rows)

    @property
    def steps(self) -> int:
        """Batches of one rank in one epoch. In training only full ones count, but at least one; otherwise the most."""
        size = self.batch_size * self.ranks
        return max(1, self.samples // size) if self.train else -(-self.samples // size)

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch]:
        """Yield the batches of ``epoch``, starting with ``first_step``.

        Yields:
            image: float32 (N, channels, \\*S) normalised; S is (z, y, x) for patches or (y, x) for slices. With stacks
                of slices the channels are the slices of the stack.
            target: int32 (N, \\*S) class indices.
            names: the case of each sample.
        """
        positions = self._positions()[first_step:]
        self.order = order = self._order(epoch)
        wanted = [row for batch in positions for position in batch for row in self.stacks[order[position]]]
        if not wanted:
            return
        rows = read_records(self.paths, self.stage.sampling.window, wanted)
        with ThreadPoolExecutor(1, "batches") as thread:  # one thread keeps the order of the batches
            pending: deque[Future[Batch]] = deque()
            try:
                for batch in positions:
                    pending.append(thread.submit(self._batch, rows, epoch, batch, order))
                    if len(pending) > AHEAD:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()
                thread.submit(rows.close)

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
        """List for each step the positions in the epoch that this rank gets."""
        if not self.train:
            batches = range(-(-self.samples // self.batch_size))
            own = np.array_split(batches, self.ranks)[self.rank]
            return [np.arange(n * self.batch_size, min((n + 1) * self.batch_size, self.samples)) for n in own]
        blocks = np.arange(self.steps * self.ranks * self.batch_size).reshape(self.steps, self.ranks, self.batch_size)
        return list(blocks[:, self.rank])

    def _order(self, epoch: int) -> np.ndarray:
        """Return the row number at each position of the epoch."""
        if not self.train:
            return np.arange(self.samples)
        count = max(self.samples, self.ranks * self.batch_size)
        spec, rng = self.stage.train.sampler, np.random.default_rng([self.seed, epoch])
        return epoch_order(
            self.foreground,
            count,
            spec.foreground,
            rng,
            mine=spec.mine,
            weights=self.weights if np.ptp(self.weights) > 0 else None,
            losses=self.losses.known if self.losses else None,
        )

    def _batch(self, rows: Iterator[Record], epoch: int, positions: np.ndarray, order: np.ndarray) -> Batch:
        cv2.setNumThreads(1)  # leaves the other cores to the network
        images, targets, names = [], [], []
        for position in positions:
            stack = [self._row(rows, number) for number in self.stacks[order[position]]]
            middle = stack[len(stack) // 2]
            image = middle["image"] if len(stack) == 1 else np.stack([row["image"] for row in stack])
            image, label = self._sample(image, middle["label"], epoch, int(position))
            images.append(image.reshape(self.stage.channels, *self.stage.sampling.window))
            targets.append(label)
            names.append(middle["case"])
        return np.stack(images), np.stack(targets).astype(np.int32), names

    def _row(self, rows: Iterator[Record], number: int) -> Record:
        """Read the next of ``rows`` and check that it is row ``number``."""
        row = next(rows)
        if (row["case"], row["index"]) != self.rows[number]:
            raise InputError(
                self.paths[0].parent.parent,
                expected=f"row {self.rows[number]} of the records",
                found=f"{(row['case'], row['index'])}",
                remedy="Run kidneyseg prepare again; the records have changed",
            )
        return row

    def _sample(self, image: np.ndarray, label: np.ndarray, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        if not self.train:
            return normalise(image, *moments(image, self.stage.intensity)), label
        rng = np.random.default_rng([self.seed, epoch, position])
        return self.augmentation.apply(image, label, self.augmentation.draw(rng))
