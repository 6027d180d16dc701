"""Batches of prepared samples, every sample once and unchanged: for validation, and the base of training's."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from kidneyseg.cohort.datasets import work_datasets
from kidneyseg.errors import InputError
from kidneyseg.preprocessing.class_codes import class_table, classes_of
from kidneyseg.preprocessing.image import stack_slices
from kidneyseg.recipe import Stage
from kidneyseg.training_data.mindrecord import Record, read_records, require_unchanged
from kidneyseg.training_data.prepared_case import PreparedCase, PreparedStage, case_folder, record_file, stage_settings
from kidneyseg.volume.intensity import moments, normalise

Batch = tuple[np.ndarray, np.ndarray, list[str]]
AHEAD = 2  # batches prepared while the network computes


class Batches:
    """The prepared samples of several cases for one stage, in batches: every sample once, in order.

    With several ranks the batches are those of one process, and each rank gets consecutive ones, the first ranks one
    more if they cannot be divided evenly. Cases of data sets with weight 0 are left out.

    Args:
        work: the folder that ``kidneyseg prepare`` filled.
        stage: the stage.
        cases: names of the cases.
        batch_size: samples per batch of one rank.
        rank: number of this process, from 0.
        ranks: number of processes.

    Attributes:
        uncertain: target code -> classes, for the codes of voxels that may belong to several classes.

    Raises:
        InputError: a case is not prepared, was prepared with other settings, or no case has any sample.
    """

    def __init__(
        self, work: str | Path, stage: Stage, cases: Sequence[str], *, batch_size: int, rank: int = 0, ranks: int = 1
    ):
        self.stage, self.batch_size = stage, batch_size
        self.rank, self.ranks = rank, ranks
        self.uncertain: dict[int, tuple[int, ...]] = {}
        self.paths: list[Path] = []
        self.rows: list[tuple[str, int]] = []  # (case, index in its file) in the order in which the files are read
        self.foreground = np.zeros(0, bool)
        self.factors = np.zeros(0)  # of each row, the product of ``sampler.labels`` over the labels of its case
        self.origins: list[str] = []  # data set of each row
        self.stacks = np.zeros((0, stage.channels), int)  # per row, the rows whose images are the network's channels
        self.datasets = work_datasets(work)
        for case in cases:
            self._add(Path(work), case)
        if not self.rows:
            raise InputError(
                Path(work) / "prepared",
                expected=f"samples of stage {stage.name!r} in cases {list(cases)}",
                found="none",
                remedy="Choose a fold whose cases have kidneys, or check the labels",
            )

    def _add(self, work: Path, case: str) -> None:
        folder = case_folder(work, case)
        made = PreparedCase.read(folder)
        if made.dataset in self.datasets and self.datasets[made.dataset].weight == 0:
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
            factor = np.prod([factor for label, factor in factors.items() if label in made.labels])
            self.factors = np.append(self.factors, np.full(len(flags), factor))
            self.origins += [made.dataset] * len(flags)
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
        return len(self.rows)

    @property
    def steps(self) -> int:
        """Batches in one epoch of the rank that has most."""
        return -(-self.samples // (self.batch_size * self.ranks))

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch]:
        """Yield the batches of ``epoch``, starting with ``first_step``.

        Yields:
            image: float32 (N, channels, \\*S) normalised; S is (z, y, x) for patches or (y, x) for slices. With stacks
                of slices the channels are the slices of the stack.
            target: int32 (N, \\*S) class indices.
            names: the case of each sample.
        """
        positions, order = self._positions()[first_step:], self._order(epoch)
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

    def _positions(self) -> list[np.ndarray]:
        """List for each step the positions in the epoch that this rank gets."""
        batches = range(-(-self.samples // self.batch_size))
        own = np.array_split(batches, self.ranks)[self.rank]
        return [np.arange(n * self.batch_size, min((n + 1) * self.batch_size, self.samples)) for n in own]

    def _order(self, epoch: int) -> np.ndarray:
        """Return the row number at each position of the epoch."""
        return np.arange(self.samples)

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
        """Return the network's input and the target of the sample at ``position`` of the epoch."""
        return normalise(image, *moments(image, self.stage.intensity)), label
