"""An ensemble of models: the mean of their probabilities on the scan, and their disagreement."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.inference.cascade import Result, warn_of_result
from kidneyseg.inference.ensemble.label_probabilities import LabelProbabilities
from kidneyseg.inference.ensemble.localisation import Localisation, localise_the_same, localise_together
from kidneyseg.inference.ensemble.voting import LabelVote
from kidneyseg.inference.model import Model, Segmenter
from kidneyseg.inference.stage import Progress, ignore_progress
from kidneyseg.recipe import Component, Recipe, common_labels, common_merge
from kidneyseg.volume.components import clean
from kidneyseg.volume.nifti import Scan


@dataclass(frozen=True)
class Ensemble:
    """An ensemble of models of one recipe (folds, seeds) or of several.

    Attributes:
        models: the models whose label probabilities are averaged. If their first stages localise the same labels for
            later stages, the probabilities of these stages are averaged too (see ``localisation``); all other regions
            come from each model's own stages.
        recipe: the recipe of the first model, with the labels that all models have (see ``common_labels``) and all
            merges. Its components clean the ensemble's mask.
        finders: more models, of which only the first stages are used, for the localisation.
    """

    models: tuple[Model, ...]
    recipe: Recipe
    finders: tuple[Model, ...] = ()

    @classmethod
    def of(cls, models: Sequence[Model], finders: Sequence[Model] = ()) -> Ensemble:
        """Combine ``models``; ``finders`` take part only in the localisation.

        Raises:
            InputError: the models do not have the same labels, or a finder localises labels that no model uses.
        """
        recipes = [model.recipe for model in models]
        merge = common_merge(recipes)
        changes = {
            "name": " + ".join(recipe.name for recipe in recipes),
            "labels": common_labels(recipes),
            "merge": merge,
            "components": tuple(_merged(c, merge) for c in recipes[0].components),
        }
        for finder in finders:
            if not any(localise_the_same(finder.recipe, recipe, merge) for recipe in recipes):
                raise InputError(
                    finder.recipe.name,
                    remedy="Leave this finder out",
                    found="none, or one that localises other labels",
                    expected=f"a first stage that localises the regions for {changes['name']}",
                )
        return cls(tuple(models), recipes[0].model_copy(update=changes), tuple(finders))

    def segment(self, scan: Scan, *, oracle: np.ndarray | None = None, progress: Progress = ignore_progress) -> Result:
        """The label with the greatest mean probability in every voxel, cleaned; arguments as of `cascade.segment`.

        The result's ``rois`` and ``seconds`` are named "1 coarse" of the first model's coarse stage.

        Memory besides the scan: one uint16 and one uint8 volume per label; while a model runs, one uint16 volume per
        label and one per class of the regions of its result stages; and what `localise_together` holds.
        """
        vote = LabelVote(scan.array.shape, tuple(self.recipe.labels.values()), len(self.models))
        result = Result(np.zeros(scan.array.shape, np.uint8))
        gathered = [
            LabelProbabilities(model.recipe, scan.array.shape, self.recipe.merge, vote.one) for model in self.models
        ]
        localisations = (
            [Localisation()] * len(self.models)
            if oracle is not None
            else localise_together(
                scan, self.models, self.finders, self.recipe.merge, [one.keep for one in gathered], progress
            )
        )
        for number, localisation in enumerate(localisations, 1):
            result.seconds |= {f"{number} {stage}": seconds for stage, seconds in localisation.seconds.items()}
        for number, (model, labels, localisation) in enumerate(zip(self.models, gathered, localisations), 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an implausible mask of one model says nothing about the ensemble's
                one = model.segment(
                    scan, oracle=oracle, found=localisation.agreed, progress=progress, on_probabilities=labels.keep
                )
            vote.add(labels.of({**one.stages, **localisation.own}))
            result.rois |= {f"{number} {stage}": rois for stage, rois in one.rois.items()}
            result.seconds |= {f"{number} {stage}": seconds for stage, seconds in one.seconds.items()}
        result.mask = clean(vote.mask(), self.recipe.components, scan.voxel_ml)
        result.disagreement = vote.disagreement(result.mask)
        warn_of_result(scan, result.mask)
        return result


def load_models(
    folders: Sequence[str | Path],
    device: str = "auto",
    recipes: Mapping[str | Path, Recipe | None] | None = None,
    runtime: str = "mindspore",
    precision: str = "auto",
    finders: Sequence[str | Path] = (),
) -> Segmenter:
    """Load one model, or an ensemble if there are several ``folders`` or any ``finders``.

    Args:
        folders: model folders or packages.
        device, runtime, precision: as for :meth:`Model.load`.
        recipes: folder -> recipe that is used instead of the folder's own.
        finders: folders of models that take part only in the localisation.

    Raises:
        InputError: as for :meth:`Model.load` and :meth:`Ensemble.of`.
    """
    models = [
        Model.load(folder, device, (recipes or {}).get(folder), runtime, precision) for folder in (*folders, *finders)
    ]
    return models[0] if len(models) == 1 else Ensemble.of(models[: len(folders)], models[len(folders) :])


def _merged(component: Component, merge: Mapping[int, int]) -> Component:
    labels = dict.fromkeys(merge.get(label, label) for label in component.labels)
    return component.model_copy(update={"labels": tuple(labels)})
