"""The choice and order of the samples of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def epoch_order(
    foreground: np.ndarray,
    count: int,
    share: float | None,
    rng: np.random.Generator,
    *,
    weights: np.ndarray | None = None,
    losses: np.ndarray | None = None,
    mine: float = 0.0,
) -> np.ndarray:
    """Draw the sample numbers of one epoch, shuffled.

    Args:
        foreground: (n,) bool, whether each sample contains a target.
        count: number of samples to draw.
        share: fraction of samples with a target among those that are not mined, rounded; None: no distinction. If one
            of the two kinds is missing, the other is drawn instead.
        rng: random generator.
        weights: (n,) > 0, frequency of each sample relative to a sample of weight 1; None: all equal.
        losses: (n,) last loss of each sample; NaN if it was not yet seen, which counts as the mean loss.
        mine: fraction of the epoch, rounded, that is drawn in proportion to ``losses`` (times ``weights``). Nothing is
            mined as long as no loss is above 0.

    Returns:
        (count,) int. Without weights or mining, every sample of a kind is drawn once before any repeats. Otherwise each
        is drawn in proportion to its weight, rounded up or down.
    """
    n = foreground.size
    hardness = None if losses is None else _hardness(losses)
    mined = 0 if hardness is None else round(mine * count)
    parts = _taken(foreground, count - mined, share, rng, weights)
    if mined:
        parts.append(_draw(np.arange(n), mined, rng, hardness if weights is None else hardness * weights))
    return parts[0] if len(parts) == 1 else rng.permutation(np.concatenate(parts))


def balance(origins: Sequence[str], foreground: np.ndarray | None, weights: Mapping[str, float]) -> np.ndarray:
    """Compute sampling factors so that data sets count by their weights and not by their numbers of samples.

    Args:
        origins: data set of each sample.
        foreground: (n,) bool, whether each sample contains a target: the samples with and without a target are then
            balanced separately, as they are drawn separately; None: all samples together.
        weights: data set -> weight (default 1).

    Returns:
        (n,) factors; their mean over the samples that are balanced together is 1.
    """
    datasets, factors = np.asarray(origins), np.ones(len(origins))
    for kind in [np.ones(len(origins), bool)] if foreground is None else [foreground, ~foreground]:
        names, counts = np.unique(datasets[kind], return_counts=True)
        whole = sum(weights.get(name, 1.0) for name in names.tolist())
        for name, count in zip(names.tolist(), counts.tolist()):
            factors[kind & (datasets == name)] = weights.get(name, 1.0) * np.count_nonzero(kind) / (count * whole)
    return factors


def _hardness(losses: np.ndarray) -> np.ndarray | None:
    """Replace unknown losses by the mean and negative ones by 0; None if no loss is above 0."""
    seen = ~np.isnan(losses)
    if not (losses[seen] > 0).any():
        return None
    known = np.maximum(losses.astype(float), 0)
    return np.where(seen, known, known[seen].mean())


def _taken(
    foreground: np.ndarray, count: int, share: float | None, rng: np.random.Generator, weights: np.ndarray | None
) -> list[np.ndarray]:
    """Draw the samples that are not mined; with ``share``, separately with and without a target."""
    if share is None:
        return [_draw(np.arange(foreground.size), count, rng, weights)]
    kinds = [np.flatnonzero(foreground), np.flatnonzero(~foreground)]
    with_target = round(share * count)
    if not kinds[0].size:
        with_target = 0
    if not kinds[1].size:
        with_target = count
    return [
        _draw(numbers, size, rng, None if weights is None else weights[numbers])
        for numbers, size in zip(kinds, (with_target, count - with_target))
    ]


def _draw(numbers: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None) -> np.ndarray:
    """Draw ``count`` of ``numbers``: in shuffled rounds of all of them, or in proportion to ``weights``."""
    if weights is None or not numbers.size:
        rounds = -(-count // max(1, numbers.size))
        return np.concatenate([numbers[:0], *(rng.permutation(numbers) for _ in range(rounds))])[:count]
    # Systematic resampling (Kitagawa 1996): equidistant points with one random offset on the cumulative weights.
    order = rng.permutation(numbers.size)
    ends = np.cumsum(weights[order])
    ends = np.floor(ends / ends[-1] * count + rng.random())
    return rng.permutation(np.repeat(numbers[order], np.diff(ends, prepend=0).astype(int)))
