"""One model's probabilities of labels, gathered from the stages whose masks make its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.box import Box

PLANES = 16  # of the scan at a time: temporary arrays are that thick


class LabelProbabilities:
    """Keeps the probabilities of a cascade's result stages while it runs, and combines them to those of labels.

    Overlaid stage masks have no single probability map, so we combine them: a later stage keeps its foreground
    probabilities p(class); its background probability is shared out according to the earlier stages' q(label):
    q'(label) = p(class of label) + p(background) q(label). Outside a stage's regions, and where the clean-up of its
    mask dropped voxels, all is background. Of a recipe whose result is one stage, q are that stage's probabilities.

    Args:
        shape: (z, y, x) of the scan.
        merge: labels that count as another one.
        one: what probability 1 is, a whole number up to 65535; probabilities are kept as uint16 in units of 1 / one,
            rounded down, so that together they never exceed it; what is lost counts as background.
    """

    def __init__(self, recipe: Recipe, shape: Sequence[int], merge: Mapping[int, int], one: int) -> None:
        self.recipe, self.merge, self.one = recipe, merge, one
        self.shape = shape
        self._parts: dict[str, list[tuple[Box, np.ndarray]]] = {name: [] for name in recipe.result_stages}

    def keep(self, stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
        """A `ProbabilityHook` of the cascade: keeps ``slabs``, which lie in ``box`` of the scan."""
        if stage.name not in self._parts:
            return slabs
        kept = np.zeros((stage.classes - 1, *(side.stop - side.start for side in box)), np.uint16)
        self._parts[stage.name].append((box, kept))
        return self._keep(slabs, kept)

    def of(self, masks: Mapping[str, StageMask]) -> dict[int, np.ndarray]:
        """What was kept as label -> (z, y, x) uint16, once; ``masks``: of the stages, cleaned."""
        labels: dict[int, np.ndarray] = {}
        for name in self.recipe.result_stages:
            stage = self.recipe.stage(name)
            for box, kept in self._parts.pop(name):
                for planes, part in _pieces(box, kept):
                    self._overlay(labels, stage, planes, part, masks[name].mask[planes])
        return labels

    def _keep(self, slabs: ProbabilitySlabs, kept: np.ndarray) -> ProbabilitySlabs:
        for first, slab in slabs:
            total = slab.sum(axis=0)  # 0 where the stage says nothing, else about 1
            kept[:, first : first + slab.shape[1]] = slab[1:] * (self.one / np.maximum(total, 1e-6))
            yield first, slab

    def _overlay(
        self, labels: dict[int, np.ndarray], stage: Stage, box: Box, claimed: np.ndarray, mask: np.ndarray
    ) -> None:
        """Over ``labels``; ``claimed``: (classes - 1, *box) uint16."""
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        claimed = np.where((claimed.max(axis=0) > rest) & (mask == 0), 0, claimed)  # dropped from the mask
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        for values in labels.values():
            values[box] = values[box] * (rest / self.one)
        for label, share in zip(stage.class_labels[1:], claimed):
            label = self.merge.get(label, label)
            if label not in labels:
                labels[label] = np.zeros(self.shape, np.uint16)
            labels[label][box] += share


def _pieces(box: Box, values: np.ndarray) -> Iterator[tuple[Box, np.ndarray]]:
    """``values`` (n, z, y, x) of ``box`` a few planes at a time, each with its own box."""
    z, y, x = box
    for start in range(0, values.shape[1], PLANES):
        part = values[:, start : start + PLANES]
        yield (slice(z.start + start, z.start + start + part.shape[1]), y, x), part
