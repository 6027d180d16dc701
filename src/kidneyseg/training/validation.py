"""Validation during training: Dice of every region, pooled over the prepared samples of each case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from kidneyseg.losses.uncertain import split_codes
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.training.distributed import Ranks


@dataclass
class Picture:
    """One sample to look at: ``image`` (*S) float32 normalised, ``target`` and ``predicted`` (*S) classes.

    Of a stack of slices the image is the middle one.
    """

    image: np.ndarray
    target: np.ndarray
    predicted: np.ndarray


@dataclass
class Validated:
    """``dice``: region name -> mean over cases, in [0, 1]; ``loss``: mean over batches; ``picture``: fullest sample."""

    dice: dict[str, float]
    loss: float
    picture: Picture

    def score(self, measure: str) -> float:
        """What the best checkpoint has most of: the mean "dice" of the regions, or the negative "loss"."""
        if measure == "dice":
            return float(np.mean(list(self.dice.values())))
        return -self.loss if math.isfinite(self.loss) else -math.inf


def region_names(recipe: Recipe, stage: Stage) -> dict[str, tuple[int, ...]]:
    """Name -> classes of the regions that a stage is judged by: those of its loss, or each target by itself.

    A name joins the labels that the region holds: classes (1, 2) of targets [[1], [2]] are "kidney+tumour".
    """
    label_names = {label: name for name, label in recipe.labels.items()}
    regions = stage.loss.regions or tuple((k,) for k in range(1, stage.classes))
    return {
        "+".join(label_names[label] for k in region if k > 0 for label in stage.targets[k - 1]): region
        for region in regions
    }


class Validator:
    """Runs a network over validation batches without changing it: ``validator(batches) -> Validated``.

    Samples of one case are pooled before its Dice is taken; where patches overlap, their voxels count as often as they
    are seen. It follows the quality of the masks well enough to choose a checkpoint; `kidneyseg eval` measures it.
    A region that a case neither has nor gets scores 1. Voxels of which it is not known whether they are in a region do
    not count in its Dice.

    Each rank gives its part of the batches, and gets the result of all.

    Args:
        loss: of a batch by itself; it sums nothing over ranks, whose numbers of batches may differ.
        uncertain: codes in the targets of voxels that may be of several classes, and these classes.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss: nn.Cell,
        regions: dict[str, tuple[int, ...]],
        uncertain: Mapping[int, tuple[int, ...]] | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.network, self.regions, self.uncertain = network, regions, uncertain or {}
        self.ranks = ranks or Ranks()

        @ms.jit
        def run(image: ms.Tensor, target: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
            logits = network(image)
            return loss(logits, target), ops.argmax(logits, 1)

        self._run = run

    def __call__(self, batches: Iterable[tuple[np.ndarray, np.ndarray, list[str]]], size: int = 0) -> Validated:
        """``batches``: (image (N, channels, *S) float32, target (N, *S) int32, case names); ``size``: N of a full one.

        Without ``size`` the first batch is a full one.
        """
        self.network.set_train(False)
        counts: dict[str, np.ndarray] = {}  # case -> (regions, 2): voxels in both masks, in one plus in the other
        losses, picture, fullest = [], None, -1
        for image, target, names in batches:
            size = size or len(names)
            # A short last batch is filled up with its own samples: another shape would compile the graph once more.
            rows = np.arange(size) % len(names)
            loss, predicted = self._run(ms.Tensor(image[rows]), ms.Tensor(target[rows]))
            losses.append(float(loss.asnumpy()))
            predicted = predicted.asnumpy()[: len(names)]
            for row, name in enumerate(names):
                counts[name] = counts.get(name, 0) + self._overlap(target[row], predicted[row])
                voxels = np.count_nonzero(target[row])
                if voxels > fullest:
                    fullest, picture = voxels, Picture(image[row, image.shape[1] // 2], target[row], predicted[row])
        found = self.ranks.gather((counts, losses, fullest))
        owner = int(np.argmax([voxels for _, _, voxels in found]))
        picture = self.ranks.gather(picture if self.ranks.rank == owner else None)[owner]
        losses = [loss for _, part, _ in found for loss in part]
        counts = {}
        for name, overlap in (item for part, _, _ in found for item in part.items()):
            counts[name] = counts.get(name, 0) + overlap
        dice = np.mean(
            [np.where(both[:, 1] > 0, 2 * both[:, 0] / np.maximum(both[:, 1], 1), 1.0) for both in counts.values()],
            axis=0,
        )
        return Validated(dict(zip(self.regions, dice.tolist())), float(np.mean(losses)), picture)

    def _overlap(self, target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        counts = []
        for classes in self.regions.values():
            inside, unknown = split_codes(classes, self.uncertain)
            t, p = np.isin(target, (*classes, *inside)), np.isin(predicted, classes)
            if unknown:
                p &= ~np.isin(target, unknown)
            counts.append((np.count_nonzero(t & p), np.count_nonzero(t) + np.count_nonzero(p)))
        return np.array(counts)
