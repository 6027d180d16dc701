"""One model's probabilities of labels, gathered from the stages whose masks make its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from kidneyseg.data.geometry import StageMask
from kidneyseg.inference.sliding import Slabs
from kidneyseg.inference.stages import class_labels
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.box import Box

PLANES = 16  # of the scan at a time: temporary arrays are that thick


class Painting:
    """Listens to a cascade at work and keeps what its painted stages say of every voxel.

    Masks of several stages that are painted over each other have no one probability. Here the foreground of a later
    stage takes what it claims, and what it leaves to its background goes to what the earlier stages said: with
    p(k) of the later stage and q(label) of the earlier ones, q'(label) = p(class of label) + p(background) q(label).
    Outside the regions that a stage looks at all is background, and so is what the clean-up of its mask has dropped.
    Of a recipe whose result is one stage, q are that stage's own probabilities.

    Args:
        shape: (z, y, x) of the scan.
        merge: labels that count as another one.
        one: what probability 1 is, a whole number up to 65535; probabilities are kept as uint16 in units of 1 / one,
            rounded down, so that together they never exceed it; what is lost counts as background.
    """

    def __init__(self, recipe: Recipe, shape: tuple[int, int, int], merge: Mapping[int, int], one: int) -> None:
        self.recipe, self.merge, self.one = recipe, merge, one
        self.shape = shape
        self._parts: dict[str, list[tuple[Box, np.ndarray]]] = {name: [] for name in recipe.painted}

    def listen(self, stage: Stage, box: Box, slabs: Slabs) -> Slabs:
        """``slabs``, which lie in ``box`` of the scan, as they are; what passes is kept."""
        if stage.name not in self._parts:
            return slabs
        kept = np.zeros((stage.classes - 1, *(side.stop - side.start for side in box)), np.uint16)
        self._parts[stage.name].append((box, kept))
        return self._keep(slabs, kept)

    def finish(self, masks: Mapping[str, StageMask]) -> dict[int, np.ndarray]:
        """What was heard as label -> (z, y, x) uint16; ``masks``: of the stages, cleaned."""
        labels: dict[int, np.ndarray] = {}
        for name in self.recipe.painted:
            stage = self.recipe.stage(name)
            for box, kept in self._parts.pop(name):
                for planes, part in _pieces(box, kept):
                    self._paint(labels, stage, planes, part, masks[name].mask[planes])
        return labels

    def _keep(self, slabs: Slabs, kept: np.ndarray) -> Slabs:
        for first, slab in slabs:
            total = slab.sum(axis=0)  # 0 where the stage says nothing, else about 1
            kept[:, first:first + slab.shape[1]] = slab[1:] * (self.one / np.maximum(total, 1e-6))
            yield first, slab

    def _paint(self, labels: dict[int, np.ndarray], stage: Stage, box: Box, claimed: np.ndarray,
               mask: np.ndarray) -> None:
        """Over ``labels``; ``claimed``: (classes - 1, *box) uint16."""
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        claimed = np.where((claimed.max(axis=0) > rest) & (mask == 0), 0, claimed)  # dropped from the mask
        rest = self.one - claimed.sum(axis=0, dtype=np.int32)
        for values in labels.values():
            values[box] = values[box] * (rest / self.one)
        for label, share in zip(class_labels(stage)[1:], claimed):
            label = self.merge.get(label, label)
            if label not in labels:
                labels[label] = np.zeros(self.shape, np.uint16)
            labels[label][box] += share


def _pieces(box: Box, values: np.ndarray) -> Iterator[tuple[Box, np.ndarray]]:
    """``values`` (n, z, y, x) of ``box`` a few planes at a time, each with its own box."""
    z, y, x = box
    for start in range(0, values.shape[1], PLANES):
        part = values[:, start:start + PLANES]
        yield (slice(z.start + start, z.start + start + part.shape[1]), y, x), part
