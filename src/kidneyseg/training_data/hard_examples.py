"""The losses that hard-example mining goes by."""

from __future__ import annotations

import numpy as np


class LossTable:
    """Each sample's loss when last seen; what an epoch draws goes by the losses known when it began.

    A loss is that of a whole batch, over all ranks, and stands for each of its samples: so every rank keeps the same
    table without a word between them, and one that began in the middle of an epoch goes on from ``state`` exactly.

    Args:
        samples: how many there are.

    Attributes:
        state: (2, samples) float32, losses when the epoch began and now; NaN for samples not yet seen. All there is
            to keep.
    """

    def __init__(self, samples: int):
        self.state = np.full((2, samples), np.nan, np.float32)

    @property
    def known(self) -> np.ndarray:
        """(samples,) losses that this epoch's draw goes by."""
        return self.state[0]

    def record(self, samples: np.ndarray, loss: float) -> None:
        """The batch of these sample numbers had this loss."""
        self.state[1, samples] = loss

    def end_epoch(self) -> None:
        self.state[0] = self.state[1]
