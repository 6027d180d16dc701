"""The training loop for all stages of all recipes."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from kidneyseg import ascend_cells
from kidneyseg.errors import InputError
from kidneyseg.model_folder import checkpoint
from kidneyseg.model_folder.checkpoint import TrainingState
from kidneyseg.model_folder.epoch_log import Row
from kidneyseg.model_folder.folder import BEST, LAST
from kidneyseg.recipe import Train
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.log import Log, Terminal
from kidneyseg.training.mixup import draw_share
from kidneyseg.training.schedule import learning_rate
from kidneyseg.training.step import TrainStep
from kidneyseg.training.validation import Validator
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.training_batches import TrainingBatches


@dataclass
class Loop:
    """Trains one network from ``progress`` to the end of the last epoch.

    Writes ``best.ckpt`` (best validation, see ``Train.best``), ``last.ckpt``, ``log.jsonl`` and ``tensorboard/`` to
    ``folder``. At the end of an epoch the order is: best, log, last. So, after a kill at any moment, best and log are
    as old as ``last.ckpt`` or newer, and repeating the epoch writes exactly the same files again.
    """

    stage: str
    folder: Path
    spec: Train
    network: nn.Cell
    step: TrainStep
    validator: Validator
    train: TrainingBatches
    val: Batches
    ranks: Ranks
    progress: TrainingState

    def run(self) -> TrainingState:
        """Train until the last epoch. Raises InputError if the loss or the gradients become NaN or infinite.

        The last checkpoint is not changed by such an error.
        """
        log = Log(self.folder, self.progress.epoch) if self.ranks.first else None
        terminal = Terminal(self.stage, self.spec.epochs, self.ranks.first)
        try:
            while self.progress.epoch < self.spec.epochs:
                self._train_epoch(terminal)
                self._finish_epoch(log, terminal)
        finally:
            if log:
                log.close()
        return self.progress

    def _train_epoch(self, terminal: Terminal) -> None:
        now = self.progress
        started, before = time.perf_counter(), now.seconds
        self.step.start_epoch(now.epoch)
        with (
            terminal.steps(now.epoch, self.train.steps, now.step) as bar,
            closing(self.train.epoch(now.epoch, first_step=now.step)) as batches,
        ):
            for image, target, _ in batches:
                loss = self._take_step(image, target)
                self.train.record(now.step, loss)
                now.loss_sum += loss
                now.step += 1
                now.seconds = before + time.perf_counter() - started
                bar.set_postfix_str(
                    f"loss {now.loss_sum / now.step:.4f}, {self._samples_per_second():.1f} samples/s", refresh=False
                )
                bar.update()
                every = self.spec.checkpoint_every
                if every and now.step % every == 0 and now.step < self.train.steps:
                    self._save_last()

    def _take_step(self, image: np.ndarray, target: np.ndarray) -> float:
        now, spec = self.progress, self.spec
        number = now.epoch * self.train.steps + now.step
        rate = learning_rate(number, self.train.steps, spec.epochs, spec.schedule)
        alpha = spec.augment.mixup
        outcome = self.step(image, target, rate, draw_share(alpha, spec.seed, now.epoch, now.step) if alpha else None)
        if not math.isfinite(outcome.loss) or not outcome.updated and self.step.stuck():
            what = f"a loss of {outcome.loss}" if not math.isfinite(outcome.loss) else "gradients that are not finite"
            raise InputError(
                f"stage {self.stage!r}, epoch {now.epoch + 1}, step {number + 1} of {spec.epochs * self.train.steps}",
                expected="a finite loss and finite gradients",
                found=what,
                remedy=f"The last good checkpoint is kept. Lower train.schedule.peak{self._more_precise()}, and start "
                "again with --overwrite",
            )
        return outcome.loss

    def _more_precise(self) -> str:
        """Advice that follows other advice; none on an Ascend that is not known to compute this network in float32."""
        on_ascend = ms.get_context("device_target") == "Ascend"
        able = not on_ascend or "float32" in ascend_cells.precisions(self.network)
        return ", or set train.precision=float32" if able else ""

    def _finish_epoch(self, log: Log | None, terminal: Terminal) -> None:
        now, started = self.progress, time.perf_counter()
        number = (now.epoch + 1) * self.train.steps
        row: Row = {
            "epoch": now.epoch,
            "step": number,
            "loss": now.loss_sum / now.step,
            "lr": learning_rate(number - 1, self.train.steps, self.spec.epochs, self.spec.schedule),
            "samples_per_s": self._samples_per_second(),
        }
        picture = None
        if (now.epoch + 1) % self.spec.validate_every == 0 or now.epoch + 1 == self.spec.epochs:
            validated = self.validator(self.val.epoch(0), min(self.val.batch_size, self.val.samples))
            row |= {"val_loss": validated.loss, "val_dice": validated.dice}
            picture = validated.picture
            score = validated.score(self.spec.best)
            if now.best is None or score > now.best:
                now.best, now.best_epoch = score, now.epoch
                if self.ranks.first:
                    checkpoint.save_weights(self.folder / BEST, self.network, now)
        row["seconds"] = now.seconds + time.perf_counter() - started
        if log:
            log.epoch(row, picture)
        now.epoch, now.step, now.loss_sum, now.seconds = now.epoch + 1, 0, 0.0, 0.0
        self.train.end_epoch()
        self._save_last()
        terminal.epoch(row, left=row["seconds"] * (self.spec.epochs - now.epoch))

    def _save_last(self) -> None:
        if self.ranks.first:
            checkpoint.save_training(
                self.folder / LAST, self.network, self.step.optimizer, self.step.scaler, self.progress, self._losses()
            )

    def restore(self, path: Path) -> None:
        """Continue from a ``last.ckpt``. Raises InputError as :func:`checkpoint.load_training`."""
        self.progress = checkpoint.load_training(
            path, self.network, self.step.optimizer, self.step.scaler, self._losses()
        )

    def _losses(self) -> np.ndarray | None:
        return self.train.losses.state if self.train.losses else None

    def _samples_per_second(self) -> float:
        """Return the samples per second in this epoch, over all ranks."""
        return self.progress.step * self.spec.batch_size * self.ranks.size / max(self.progress.seconds, 1e-9)
