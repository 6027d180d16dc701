"""Output of the training: JSON lines, TensorBoard, a picture per epoch, and the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tqdm import tqdm

from kidneyseg.model_folder.epoch_log import Row, append_row, keep_rows
from kidneyseg.report import colours
from kidneyseg.system.files import writing
from kidneyseg.training.validation import Picture

# One colour per class; that of the background, class 0, is not used.
COLOURS = np.array(
    [
        to_rgb(colour)
        for colour in ("black", colours.KIDNEY, colours.TUMOUR, colours.CYST, colours.YELLOW, colours.GREEN)
    ],
    np.float32,
)
OPACITY = 0.45
SCALARS = ("loss", "val_loss", "lr", "samples_per_s", "seconds")  # of a row, drawn in TensorBoard


class Log:
    """``log.jsonl`` and ``tensorboard/`` of one stage.

    Args:
        folder: the stage's folder.
        epoch: number of epochs in the checkpoint; later rows, from a killed run, are deleted.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / "log.jsonl"
        keep_rows(self.path, epoch)
        self.board = TensorBoard(folder / "tensorboard", epoch)

    def epoch(self, row: Row, picture: Picture | None) -> None:
        """Append one row, flushed to the disk, and add its values to TensorBoard at its epoch."""
        append_row(self.path, row)
        values: Mapping[str, object] = row
        scalars = {name: values[name] for name in SCALARS if name in values}
        scalars |= {f"val_dice/{name}": value for name, value in row.get("val_dice", {}).items()}
        summaries = [summary.scalar(name, value) for name, value in scalars.items()]
        if picture is not None:
            summaries.append(summary.image("validation_image_truth_prediction", draw(picture), dataformats="CHW"))
        self.board.write(row["epoch"], summaries)

    def close(self) -> None:
        self.board.close()


class TensorBoard:
    """A TensorBoard event file. It is written in this thread: tensorboardX's writer has a thread that hides errors.

    Args:
        folder: folder of the event file.
        epoch: first epoch of this run; TensorBoard hides earlier values of this and later epochs, from a killed run.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = EventsWriter(str(folder / "events"))
            self._add(Event(step=epoch, session_log=SessionLog(status=SessionLog.START)))
            self.file.flush()

    def write(self, epoch: int, summaries: Sequence[Summary]) -> None:
        with writing(self.folder):
            for one in summaries:
                self._add(Event(step=epoch, summary=one))
            self.file.flush()

    def close(self) -> None:
        with writing(self.folder):
            self.file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self.file.write_event(event)


def draw(picture: Picture) -> np.ndarray:
    """Draw the slice with the most target voxels: image, ground truth, prediction. Returns RGB (3, y, 3 x) in 0-1."""
    image, target, predicted = picture.image, picture.target, picture.predicted
    if image.ndim == 3:
        z = int(np.argmax(np.count_nonzero(target, axis=(1, 2))))
        image, target, predicted = image[z], target[z], predicted[z]
    grey = (image - image.min()) / max(float(np.ptp(image)), 1e-6)
    grey = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    panels = [grey]
    for classes in (target, predicted):
        tinted = (1 - OPACITY) * grey + OPACITY * COLOURS[classes % len(COLOURS)]
        panels.append(np.where(classes[..., None] > 0, tinted, grey))
    return np.concatenate(panels, axis=1).transpose(2, 0, 1)


class Terminal:
    """Progress of the training: a bar per epoch on a terminal, and one line per epoch; only the first rank prints."""

    def __init__(self, stage: str, epochs: int, first: bool) -> None:
        self.stage, self.epochs, self.first = stage, epochs, first
        self.bar = first and sys.stderr.isatty()

    def steps(self, epoch: int, total: int, done: int) -> tqdm:
        """Make the progress bar of one epoch, of which ``done`` of ``total`` steps are finished."""
        return tqdm(
            total=total,
            initial=done,
            desc=f"{self.stage} epoch {epoch + 1}/{self.epochs}",
            unit="step",
            disable=not self.bar,
            leave=False,
            dynamic_ncols=True,
        )

    def epoch(self, row: Row, left: float) -> None:
        """Print one line with the results of an epoch; ``left`` is the estimated time to the end of training, s."""
        if self.first:
            dice = "  ".join(f"{name} {value:.3f}" for name, value in row.get("val_dice", {}).items())
            print(
                f"{self.stage} epoch {row['epoch'] + 1}/{self.epochs}  loss {row['loss']:.4f}  "
                f"{'val ' + dice + '  ' if dice else ''}{row['samples_per_s']:.1f} samples/s  "
                f"{left / 60:.1f} min left",
                flush=True,
            )
