"""Inference of a 2-D network on the axial slices of a region."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.preprocessing.image import stack_slices


def slice_slabs(
    image: np.ndarray, network: Callable[[np.ndarray], np.ndarray], batch_size: int, stack: int = 1
) -> ProbabilitySlabs:
    """Compute the probabilities of every axial slice, in batches.

    Args:
        image: (z, y, x) uint8; y and x have the network's size.
        network: (N, stack, y, x) uint8, N <= batch_size -> probabilities (N, classes, y, x) float32 of the middle
            slices.
        batch_size: slices per call of the network.
        stack: slices in the network's input; beyond the ends the last slice is repeated.

    Yields:
        (first slice, probabilities (classes, slices, y, x)), each slice once, in order.
    """
    stacks = stack_slices(len(image), stack)
    for z in range(0, len(image), batch_size):
        yield z, np.swapaxes(network(image[stacks[z : z + batch_size]]), 0, 1)
