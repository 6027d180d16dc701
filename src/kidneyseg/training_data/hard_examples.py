"""Losses of the samples, for hard-example mining."""

from __future__ import annotations

import numpy as np


class LossTable:
    """The last loss of each sample. An epoch draws its samples by the losses that were known at its start.

    The loss of a whole batch, over all ranks, is stored for each of its samples. Every rank sees the batch loss, so all
    tables agree without communication, and a run resumed in the middle of an epoch continues exactly from ``state``.

    Args:
        samples: number of samples.

    Attributes:
        state: (2, samples) float32: losses at the start of the epoch, and now; NaN for samples not yet seen. A
            checkpoint needs only this array.
    """

    def __init__(self, samples: int):
        self.state = np.full((2, samples), np.nan, np.float32)

    @property
    def known(self) -> np.ndarray:
        """(samples,) losses by which the samples of this epoch are drawn."""
        return self.state[0]

    def record(self, samples: np.ndarray, loss: float) -> None:
        """Store the loss of the batch with these sample numbers."""
        self.state[1, samples] = loss

    def end_epoch(self) -> None:
        """Make the losses recorded so far known to the next epoch."""
        self.state[0] = self.state[1]
