"""In which order an epoch takes the samples."""

from __future__ import annotations

import numpy as np


def epoch_order(foreground: np.ndarray, count: int, share: float | None, rng: np.random.Generator) -> np.ndarray:
    """``count`` sample numbers, shuffled.

    Args:
        foreground: (n,) bool, whether each sample holds a target.
        share: of samples with a target in the epoch, rounded; None takes all samples alike. When one of the two
            kinds is missing, the other fills its place.

    Returns:
        (count,) int. A sample comes again only after all others of its kind have come.
    """
    if share is None:
        return _draw(np.arange(foreground.size), count, rng)
    kinds = [np.flatnonzero(foreground), np.flatnonzero(~foreground)]
    with_target = round(share * count)
    if not kinds[0].size:
        with_target = 0
    if not kinds[1].size:
        with_target = count
    drawn = _draw(kinds[0], with_target, rng), _draw(kinds[1], count - with_target, rng)
    return rng.permutation(np.concatenate(drawn))


def _draw(numbers: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of ``numbers``: as many shuffled rounds of all of them as it takes."""
    rounds = -(-count // max(1, numbers.size))
    return np.concatenate([numbers[:0], *(rng.permutation(numbers) for _ in range(rounds))])[:count]
