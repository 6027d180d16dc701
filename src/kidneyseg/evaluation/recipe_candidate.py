"""A recipe as a candidate: prepared and trained by kidneyseg commands in own processes, resumable."""

from __future__ import annotations

import json
import math
from pathlib import Path

from kidneyseg.cohort.folds import load_splits, save_splits
from kidneyseg.errors import InputError
from kidneyseg.evaluation.candidate import Candidate, CandidateResult, Contest
from kidneyseg.model_folder.epoch_log import read_rows
from kidneyseg.model_folder.folder import BEST, RECIPE
from kidneyseg.recipe import Recipe, load_recipe, parse_recipe, save_recipe


class RecipeCandidate(Candidate):
    """A recipe with one model per fold in WORK/<recipe>/fold<K>.

    Args:
        contest: the shared settings.
        recipe: the recipe.

    Raises:
        InputError: the folder was started with another recipe of this name, or with another training time.
    """

    def __init__(self, contest: Contest, recipe: Recipe) -> None:
        super().__init__(contest, recipe.name, {"recipe": _facts(recipe), "minutes": contest.minutes})
        self.recipe_file = self.place / RECIPE
        if not self.notes.setdefault("fitted", contest.minutes is None) or not self.notes_file.exists():
            save_recipe(recipe, self.recipe_file)  # its epochs may still be changed
            self.save()

    def understand(self, asked: dict) -> dict:
        try:  # parsing adds the defaults of keys that did not exist then
            return asked | {"recipe": _facts(parse_recipe(asked.get("recipe", {})))}
        except InputError:  # keys that no longer exist
            return asked

    def models(self, fold: int) -> list[Path]:
        return [self.folder(fold)]

    def outcome(self) -> CandidateResult:
        save_splits(load_splits(self.contest.work / "splits.json"), self.place / "splits.json")
        if not all(self._trained(fold) for fold in self.contest.folds):
            self._prepare()
        for fold in self.contest.folds:
            if not self._trained(fold):
                self._train(fold)
        return super().outcome()

    def costs(self) -> dict[str, float]:
        from kidneyseg import nets  # MindSpore takes seconds to import

        recipe, notes = load_recipe(self.recipe_file), [self.notes_of(fold) for fold in self.contest.folds]
        networks = [nets.build_network(stage.network, stage.classes, stage.channels) for stage in recipe.stages]
        seconds = [
            [
                row.get("seconds", math.nan)
                for stage in recipe.stages
                for row in read_rows(self.folder(fold) / stage.name / "log.jsonl")
            ]
            for fold in self.contest.folds
        ]
        return {
            "parameters": sum(p.size for network in networks for p in network.trainable_params()),
            "training_minutes": sum(map(sum, seconds)) / 60 / len(seconds),
            "training_mib": max(of_fold.get("training_mib", math.nan) for of_fold in notes),
        } | self.prediction_costs()

    def _prepare(self) -> None:
        self.run(
            "prepare",
            "-c",
            self.recipe_file,
            "--data",
            self.contest.data,
            "--work",
            self.place,
            "--workers",
            self.contest.workers,
        )
        if not self.notes["fitted"]:
            self.run(
                "budget",
                "-c",
                self.recipe_file,
                "--work",
                self.place,
                "--fold",
                self.contest.folds[0],
                "--minutes",
                self.contest.minutes,
                "-o",
                self.recipe_file,
                "--device",
                self.contest.device,
            )
            self.notes["fitted"] = True
            self.save()

    def _train(self, fold: int) -> None:
        peak = self.run(
            "train",
            "-c",
            self.recipe_file,
            "--work",
            self.place,
            "--stage",
            "all",
            "--fold",
            fold,
            "--resume",
            "--device",
            self.contest.device,
        )
        notes = self.notes_of(fold)
        notes["training_mib"] = max(peak, notes.get("training_mib", 0.0))  # a resumed run had several processes
        self.save()

    def _trained(self, fold: int) -> bool:
        """Tell whether every stage has finished its last epoch."""
        if not self.notes["fitted"]:
            return False
        for stage in load_recipe(self.recipe_file).stages:
            folder = self.folder(fold) / stage.name
            rows = read_rows(folder / "log.jsonl")
            if not (folder / BEST).exists() or not rows or rows[-1]["epoch"] + 1 < stage.train.epochs:
                return False
        return True


def _facts(recipe: Recipe) -> dict:
    """Return the whole recipe, with defaults, as JSON types."""
    return json.loads(recipe.model_dump_json())
