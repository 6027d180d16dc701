"""In which order an epoch takes the samples."""

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
    """``count`` sample numbers, shuffled.

    Args:
        foreground: (n,) bool, whether each sample holds a target.
        share: of samples with a target among those that are not mined, rounded; None takes all samples alike. When
            one of the two kinds is missing, the other fills its place.
        weights: (n,) > 0, how many times as often each sample is drawn as one of weight 1; None: all alike.
        losses: (n,), each sample's loss when last seen, NaN for one that was not: it counts as an average one.
        mine: share of the epoch, rounded, that is drawn in proportion to ``losses`` (times ``weights``). Without any
            loss above 0 yet nothing is mined.

    Returns:
        (count,) int. Without weights and mining a sample comes again only after all others of its kind have come;
        with them it comes as often as its part in the sum asks, rounded up or down.
    """
    n = foreground.size
    hardness = None if losses is None else _hardness(losses)
    mined = 0 if hardness is None else round(mine * count)
    parts = _taken(foreground, count - mined, share, rng, weights)
    if mined:
        parts.append(_draw(np.arange(n), mined, rng, hardness if weights is None else hardness * weights))
    return parts[0] if len(parts) == 1 else rng.permutation(np.concatenate(parts))


def balance(origins: Sequence[str], foreground: np.ndarray | None, weights: Mapping[str, float]) -> np.ndarray:
    """(n,) factors that make data sets count by their ``weights`` (default 1) and not by how many samples they have.

    Args:
        origins: data set of each sample.
        foreground: (n,) bool, whether each sample holds a target: the two kinds are then balanced apart, as they are
            drawn; None: all samples together. The mean of what is balanced together is 1.
    """
    datasets, factors = np.asarray(origins), np.ones(len(origins))
    for kind in [np.ones(len(origins), bool)] if foreground is None else [foreground, ~foreground]:
        names, counts = np.unique(datasets[kind], return_counts=True)
        whole = sum(weights.get(name, 1.0) for name in names.tolist())
        for name, count in zip(names.tolist(), counts.tolist()):
            factors[kind & (datasets == name)] = weights.get(name, 1.0) * np.count_nonzero(kind) / (count * whole)
    return factors


def _hardness(losses: np.ndarray) -> np.ndarray | None:
    """Losses without gaps, at least 0; None when there is none above 0."""
    seen = ~np.isnan(losses)
    if not (losses[seen] > 0).any():
        return None
    known = np.maximum(losses.astype(float), 0)
    return np.where(seen, known, known[seen].mean())


def _taken(
    foreground: np.ndarray, count: int, share: float | None, rng: np.random.Generator, weights: np.ndarray | None
) -> list[np.ndarray]:
    """The samples that are not mined, those with a target and those without apart when ``share`` says how many."""
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
    """``count`` of ``numbers``: as many shuffled rounds of all of them as it takes, or in proportion to ``weights``."""
    if weights is None or not numbers.size:
        rounds = -(-count // max(1, numbers.size))
        return np.concatenate([numbers[:0], *(rng.permutation(numbers) for _ in range(rounds))])[:count]
    # Systematic resampling (Kitagawa 1996): places one apart, thrown once onto the line that the shares make up.
    order = rng.permutation(numbers.size)
    ends = np.cumsum(weights[order])
    ends = np.floor(ends / ends[-1] * count + rng.random())
    return rng.permutation(np.repeat(numbers[order], np.diff(ends, prepend=0).astype(int)))
