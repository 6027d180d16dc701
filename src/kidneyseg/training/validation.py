"""Validation during training: Dice of every region, computed over all prepared samples of a case together."""

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
    """One sample for display: ``image`` (*S) float32 normalised, ``target`` and ``predicted`` (*S) classes.

    For a stack of slices the image is the middle slice.
    """

    image: np.ndarray
    target: np.ndarray
    predicted: np.ndarray


@dataclass
class Validated:
    """Result of a validation.

    Attributes:
        dice: region name -> mean over cases, in [0, 1].
        loss: mean over batches.
        picture: the sample with the most target voxels.
    """

    dice: dict[str, float]
    loss: float
    picture: Picture | None

    def score(self, measure: str) -> float:
        """Return the score that the best checkpoint maximises: the mean "dice" of the regions, or minus the "loss"."""
        if measure == "dice":
            return float(np.mean(list(self.dice.values())))
        return -self.loss if math.isfinite(self.loss) else -math.inf


def region_names(recipe: Recipe, stage: Stage) -> dict[str, tuple[int, ...]]:
    """Return name -> classes of the regions for the validation: the regions of the loss, or each target separately.

    A name joins the names of the labels: classes (1, 2) of targets [[1], [2]] are "kidney+tumour".
    """
    label_names = {label: name for name, label in recipe.labels.items()}
    regions = stage.loss.regions or tuple((k,) for k in range(1, stage.classes))
    return {
        "+".join(label_names[label] for k in region if k > 0 for label in stage.targets[k - 1]): region
        for region in regions
    }


class Validator:
    """Validates a network: ``validator(batches) -> Validated``.

    The voxels of all samples of a case are counted together for its Dice; voxels in several overlapping patches count
    several times. This is accurate enough to choose a checkpoint; ``kidneyseg eval`` measures the quality of the masks.
    A region that is empty in ground truth and prediction scores 1. Voxels that may or may not be in a region do not
    count in its Dice.

    Each rank gives its part of the batches, and gets the result of all.

    Args:
        network: (N, channels, *S) -> logits.
        loss: (logits, target) -> scalar, of a batch by itself: it must not sum over ranks, whose numbers of batches may
            differ.
        regions: name -> classes of each region.
        uncertain: target code -> classes, for the codes of voxels that may belong to several classes.
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
        """Validate on ``batches``: (image (N, channels, *S) float32, target (N, *S) int32, case names).

        ``size`` is N of a full batch; without it the first batch counts as full.
        """
        self.network.set_train(False)
        counts: dict[str, np.ndarray] = {}  # case -> (regions, 2): voxels in both masks, sum of voxels of each mask
        losses, picture, fullest = [], None, -1
        for image, target, names in batches:
            size = size or len(names)
            # A short last batch is filled up with its own samples, because another shape would compile a new graph.
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
