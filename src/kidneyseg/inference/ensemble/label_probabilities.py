"""Label probabilities of one model, combined from its result stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kidneyseg.inference.sliding_window import ProbabilitySlabs
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.box import Box

PLANES = 16  # planes of the scan processed at a time, which limits the size of temporary arrays


class LabelProbabilities:
    """Keeps the probabilities of a cascade's result stages while it runs, and combines them to label probabilities.

    Overlaid stage masks have no single probability map, so we combine them: a later stage keeps its foreground
    probabilities p(class); its background probability is shared out according to the earlier stages' q(label):
    q'(label) = p(class of label) + p(background) q(label). Outside a stage's regions, and where the clean-up removed
    voxels from its mask, p(background) is 1. If the result is the mask of one stage, q are that stage's probabilities.

    Args:
        recipe: the recipe of the model.
        shape: (z, y, x) of the scan.
        merge: label -> the label that it is counted as.
        one: integer that represents probability 1, up to 65535. Probabilities are stored as uint16 in units of 1 / one,
            rounded down, so that their sum never exceeds ``one``; the rounding loss counts as background.
    """

    def __init__(self, recipe: Recipe, shape: Sequence[int], merge: Mapping[int, int], one: int) -> None:
        self.recipe, self.merge, self.one = recipe, merge, one
        self.shape = shape
        self._parts: dict[str, list[tuple[Box, np.ndarray]]] = {name: [] for name in recipe.result_stages}

    def keep(self, stage: Stage, box: Box, slabs: ProbabilitySlabs) -> ProbabilitySlabs:
        """Keep ``slabs``, the probabilities in ``box`` of the scan; a ``ProbabilityHook`` for the cascade."""
        if stage.name not in self._parts:
            return slabs
        kept = np.zeros((stage.classes - 1, *(side.stop - side.start for side in box)), np.uint16)
        self._parts[stage.name].append((box, kept))
        return self._keep(slabs, kept)

    def of(self, masks: Mapping[str, StageMask]) -> dict[int, np.ndarray]:
        """Combine the kept probabilities. Can be called only once, because it frees them.

        Args:
            masks: stage name -> cleaned mask of the stage.

        Returns:
            Label -> (z, y, x) uint16.
        """
        labels: dict[int, np.ndarray] = {}
        for name in self.recipe.result_stages:
            stage = self.recipe.stage(name)
            for box, kept in self._parts.pop(name):
                for planes, part in _pieces(box, kept):
                    self._overlay(labels, stage, planes, part, masks[name].mask[planes])
        return labels

    def _keep(self, slabs: ProbabilitySlabs, kept: np.ndarray) -> ProbabilitySlabs:
        for first, slab in slabs:
            total = slab.sum(axis=0)  # 0 where the stage has no prediction, else about 1
            kept[:, first : first + slab.shape[1]] = slab[1:] * (self.one / np.maximum(total, 1e-6))
            yield first, slab

    def _overlay(
        self, labels: dict[int, np.ndarray], stage: Stage, box: Box, claimed: np.ndarray, mask: np.ndarray
    ) -> None:
        """Combine the stage's foreground probabilities ``claimed``, (classes - 1, *box) uint16, with ``labels``."""
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        claimed = np.where((claimed.max(axis=0) > rest) & (mask == 0), 0, claimed)  # removed from the mask by clean-up
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        for values in labels.values():
            values[box] = values[box] * (rest / self.one)
        for label, share in zip(stage.class_labels[1:], claimed):
            label = self.merge.get(label, label)
            if label not in labels:
                labels[label] = np.zeros(self.shape, np.uint16)
            labels[label][box] += share


def _pieces(box: Box, values: np.ndarray) -> Iterator[tuple[Box, np.ndarray]]:
    """Yield ``values``, (n, z, y, x) in ``box``, a few planes at a time, each part with its own box."""
    z, y, x = box
    for start in range(0, values.shape[1], PLANES):
        part = values[:, start : start + PLANES]
        yield (slice(z.start + start, z.start + start + part.shape[1]), y, x), part
