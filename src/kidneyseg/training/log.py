"""What training tells the world: JSON lines, TensorBoard, a picture per epoch, and the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from tensorboardX import SummaryWriter
from tqdm import tqdm

from kidneyseg.model_folder.epoch_log import Row, append_row, keep_rows
from kidneyseg.report import colours
from kidneyseg.training.validation import Picture

# By class; the colour of the background, class 0, is never seen.
COLOURS = np.array(
    [
        to_rgb(colour)
        for colour in ("black", colours.KIDNEY, colours.TUMOUR, colours.CYST, colours.YELLOW, colours.GREEN)
    ],
    np.float32,
)
OPACITY = 0.45


class Log:
    """``log.jsonl`` and ``tensorboard/`` of one stage.

    Args:
        folder: the stage's folder.
        epoch: epochs that the checkpoint knows: later rows, of a run that was killed, are dropped.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / "log.jsonl"
        keep_rows(self.path, epoch)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=epoch)

    def epoch(self, row: Row, picture: Picture | None) -> None:
        """Append one row, flushed to the disk, and draw it in TensorBoard against its epoch."""
        append_row(self.path, row)
        for name, value in row.items():
            if name in ("loss", "val_loss", "lr", "samples_per_s", "seconds"):
                self.board.add_scalar(name, value, row["epoch"])
        for name, value in row.get("val_dice", {}).items():
            self.board.add_scalar(f"val_dice/{name}", value, row["epoch"])
        if picture is not None:
            self.board.add_image("validation: image, truth, prediction", draw(picture), row["epoch"])
        self.board.flush()

    def close(self) -> None:
        self.board.close()


def draw(picture: Picture) -> np.ndarray:
    """RGB (3, y, 3 x) in [0, 1]: the slice with most target voxels, bare, with the truth and with the prediction."""
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
    """A progress bar per epoch on a terminal, else one line per epoch; silent on all ranks but the first."""

    def __init__(self, stage: str, epochs: int, first: bool) -> None:
        self.stage, self.epochs, self.first = stage, epochs, first
        self.bar = first and sys.stderr.isatty()

    def steps(self, epoch: int, total: int, done: int) -> tqdm:
        """The bar of one epoch, ``done`` steps of ``total`` already taken."""
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
        """One line on what an epoch gave; ``left``: seconds until the end of training, as expected."""
        if self.first:
            dice = "  ".join(f"{name} {value:.3f}" for name, value in row.get("val_dice", {}).items())
            print(
                f"{self.stage} epoch {row['epoch'] + 1}/{self.epochs}  loss {row['loss']:.4f}  "
                f"{'val ' + dice + '  ' if dice else ''}{row['samples_per_s']:.1f} samples/s  "
                f"{left / 60:.1f} min left",
                flush=True,
            )
