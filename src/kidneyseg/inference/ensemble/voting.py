"""Sums of several models' label probabilities, and the number of models that vote for each label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kidneyseg.inference.ensemble.label_probabilities import PLANES

MOST = 65535  # maximum of uint16, the type of the sums of probabilities


class LabelVote:
    """Sums of the models' probabilities and counts of their votes, per label.

    Args:
        shape: (z, y, x) of the scan.
        labels: labels of the mask; the rest is background.
        models: number of models that will be added, at most 255.
    """

    def __init__(self, shape: Sequence[int], labels: Sequence[int], models: int) -> None:
        self.shape, self.models, self.one = shape, models, MOST // models
        self.sums = {label: np.zeros(shape, np.uint16) for label in sorted(labels)}
        self.votes = {label: np.zeros(shape, np.uint8) for label in sorted(labels)}

    def add(self, labels: Mapping[int, np.ndarray]) -> None:
        """Add the probabilities of one model: label -> (z, y, x) uint16 in units of 1 / one; a missing label is 0."""
        for planes in self._planes():
            part = {label: values[planes] for label, values in labels.items()}
            winner = _greatest(part, self.one)
            for label, values in part.items():
                self.sums[label][planes] += values
                self.votes[label][planes] += winner == label

    def mask(self) -> np.ndarray:
        """Return the label with the largest sum, or background: (z, y, x) uint8. For equal sums the lowest label."""
        mask = np.empty(self.shape, np.uint8)
        for planes in self._planes():
            mask[planes] = _greatest(
                {label: values[planes] for label, values in self.sums.items()}, self.models * self.one
            )
        return mask

    def disagreement(self, mask: np.ndarray) -> np.ndarray:
        """Return the percentage of models whose own label differs from ``mask``, rounded: (z, y, x) uint8."""
        percent = np.empty(self.shape, np.uint8)
        for planes in self._planes():
            agreeing = self.models - sum(votes[planes].astype(np.int16) for votes in self.votes.values())  # background
            for label, votes in self.votes.items():
                agreeing = np.where(mask[planes] == label, votes[planes], agreeing)
            percent[planes] = np.rint(100 * (1 - agreeing / self.models))
        return percent

    def _planes(self) -> Iterator[slice]:
        return (slice(z, z + PLANES) for z in range(0, self.shape[0], PLANES))


def _greatest(labels: Mapping[int, np.ndarray], one: int) -> np.ndarray:
    """Return the label with the largest value, uint8; 0 where the rest of ``one`` (background) is at least as large."""
    best = one - sum(values.astype(np.int32) for values in labels.values())
    winner = np.zeros(np.shape(best), np.uint8)
    for label in sorted(labels):
        better = labels[label] > best
        winner, best = np.where(better, np.uint8(label), winner), np.where(better, labels[label], best)
    return winner
