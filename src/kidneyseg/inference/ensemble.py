"""Several models as one: their probabilities averaged on the scan, and where they disagree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.inference.cascade import Result, segment, warn_of_result
from kidneyseg.inference.looking import Look, look_together, looks_for_the_same
from kidneyseg.inference.model import Model
from kidneyseg.inference.painting import PLANES, Painting
from kidneyseg.inference.stages import Progress, ignore_progress
from kidneyseg.recipe import Component, Recipe, common_labels, common_merge
from kidneyseg.volume.components import clean
from kidneyseg.volume.nifti import Scan

MOST = 65535  # of uint16, in which probabilities are added up


@dataclass
class EnsembleResult(Result):
    """A :class:`Result` whose ``rois`` and ``seconds`` are named "1 coarse" of the first model's coarse stage.

    Attributes:
        disagreement: (z, y, x) uint8, percent: the share of models whose own label is not the mask's. It is the
            variation ratio (Freeman 1965) of the models' votes, as used with ensembles and dropout by Gal (2016).
    """

    disagreement: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))


@dataclass(frozen=True)
class Ensemble:
    """Models of one recipe (folds, seeds) or of several, as one model.

    Attributes:
        models: those whose labels are averaged. First stages that find regions for later ones, of the same labels,
            find them together (see `looking`); other regions come from each model's own stages.
        finders: more models, of which only the first stages are used, to find these regions.
        recipe: the first model's, with the labels that all have in common (see ``common_labels``) and all merges. Its
            components clean the ensemble's mask.
    """

    models: tuple[Model, ...]
    recipe: Recipe
    finders: tuple[Model, ...] = ()

    @classmethod
    def of(cls, models: Sequence[Model], finders: Sequence[Model] = ()) -> Ensemble:
        """Raises InputError when the models' labels do not meet, or a finder finds nothing that they look at."""
        recipes = [model.recipe for model in models]
        merge = common_merge(recipes)
        changes = {"name": " + ".join(recipe.name for recipe in recipes), "labels": common_labels(recipes),
                   "merge": merge, "components": tuple(_merged(c, merge) for c in recipes[0].components)}
        for finder in finders:
            if not any(looks_for_the_same(finder.recipe, recipe, merge) for recipe in recipes):
                looker = changes["name"]
                raise InputError(finder.recipe.name, expected=f"a first stage that finds what {looker} looks at",
                                 found="none, or one that finds other labels", remedy="Leave this finder out")
        return cls(tuple(models), recipes[0].model_copy(update=changes), tuple(finders))

    def segment(self, scan: Scan, *, oracle: np.ndarray | None = None,
                progress: Progress = ignore_progress) -> EnsembleResult:
        """The label with the greatest mean probability in every voxel, cleaned; arguments as of `cascade.segment`.

        Beside the scan it holds, of its size, a uint16 array and a byte per label for all models, and while a model is
        at work a uint16 array for each of its labels and for each class of its painted stages' regions; those of a
        first stage that others look at from the beginning, and what `looking.look_together` says.
        """
        polled = Poll(scan.array.shape, tuple(self.recipe.labels.values()), len(self.models))
        result = EnsembleResult(np.zeros(scan.array.shape, np.uint8))
        paintings = [Painting(model.recipe, scan.array.shape, self.recipe.merge, polled.one) for model in self.models]
        looks = [Look()] * len(self.models) if oracle is not None else look_together(
            scan, self.models, self.finders, self.recipe.merge, [painting.listen for painting in paintings], progress)
        for number, look in enumerate(looks, 1):
            result.seconds |= {f"{number} {stage}": seconds for stage, seconds in look.seconds.items()}
        for number, (model, painting, look) in enumerate(zip(self.models, paintings, looks), 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what one model does not find another may
                one = segment(scan, model, oracle=oracle, found=look.agreed, progress=progress, listen=painting.listen)
            polled.add(painting.finish(one.stages | look.own))
            result.rois |= {f"{number} {stage}": rois for stage, rois in one.rois.items()}
            result.seconds |= {f"{number} {stage}": seconds for stage, seconds in one.seconds.items()}
        result.mask = clean(polled.mask(), self.recipe.components, scan.voxel_ml)
        result.disagreement = polled.disagreement(result.mask)
        warn_of_result(scan, result.mask)
        return result


def load_models(folders: Sequence[str | Path], device: str = "auto",
                recipes: Mapping[str | Path, Recipe] | None = None, runtime: str = "mindspore",
                precision: str = "auto", finders: Sequence[str | Path] = ()) -> Model | Ensemble:
    """The model of one folder, or the ensemble of several or with ``finders``.

    Args:
        recipes: by folder, used instead of the folder's own.
        device, runtime, precision: as of :meth:`Model.load`.
        finders: folders of models that only help to find regions.

    Raises:
        InputError: as :meth:`Model.load` and :meth:`Ensemble.of`.
    """
    models = [Model.load(folder, device, (recipes or {}).get(folder), runtime, precision)
              for folder in (*folders, *finders)]
    return models[0] if len(models) == 1 else Ensemble.of(models[:len(folders)], models[len(folders):])


class Poll:
    """Sums of the models' probabilities and counts of their votes, per label.

    Args:
        shape: (z, y, x) of the scan.
        labels: those told apart; the rest is background.
        models: how many will be added, at most 255.
    """

    def __init__(self, shape: tuple[int, int, int], labels: Sequence[int], models: int) -> None:
        self.shape, self.models, self.one = shape, models, MOST // models
        self.sums = {label: np.zeros(shape, np.uint16) for label in sorted(labels)}
        self.votes = {label: np.zeros(shape, np.uint8) for label in sorted(labels)}

    def add(self, labels: Mapping[int, np.ndarray]) -> None:
        """One model: label -> (z, y, x) uint16 in units of 1 / one; a label that is missing is nowhere."""
        for planes in self._planes():
            part = {label: values[planes] for label, values in labels.items()}
            winner = _greatest(part, self.one)
            for label, values in part.items():
                self.sums[label][planes] += values
                self.votes[label][planes] += winner == label

    def mask(self) -> np.ndarray:
        """(z, y, x) uint8: the label with the greatest sum, background where it has more; of equals the lowest."""
        mask = np.empty(self.shape, np.uint8)
        for planes in self._planes():
            mask[planes] = _greatest({label: values[planes] for label, values in self.sums.items()},
                                     self.models * self.one)
        return mask

    def disagreement(self, mask: np.ndarray) -> np.ndarray:
        """(z, y, x) uint8, percent of the models whose own label is not that of ``mask``, rounded."""
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
    """The label with the greatest value, uint8; 0 where what is left of ``one`` is as great."""
    best = one - sum(values.astype(np.int32) for values in labels.values())
    winner = np.zeros(np.shape(best), np.uint8)
    for label in sorted(labels):
        better = labels[label] > best
        winner, best = np.where(better, np.uint8(label), winner), np.where(better, labels[label], best)
    return winner


def _merged(component: Component, merge: Mapping[int, int]) -> Component:
    labels = dict.fromkeys(merge.get(label, label) for label in component.labels)
    return component.model_copy(update={"labels": tuple(labels)})
