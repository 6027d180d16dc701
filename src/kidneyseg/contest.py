"""One recipe among several: prepared, trained and scored by commands in processes of their own, and resumable."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import kidneyseg
from kidneyseg.atomic import write_text
from kidneyseg.child import run_command
from kidneyseg.data.cohort import Case
from kidneyseg.data.folds import fold_cases
from kidneyseg.digest import sha256
from kidneyseg.errors import InputError
from kidneyseg.metrics.evaluate import score_masks
from kidneyseg.metrics.fold import FoldScores, score_fold
from kidneyseg.recipe import Recipe, load_recipe, save_recipe
from kidneyseg.report.comparison import SCORES, Row
from kidneyseg.report.tables import read_scores, write_scores
from kidneyseg.training.rows import read_rows
from kidneyseg.volume.nifti import read_mask


@dataclass(frozen=True)
class Contest:
    """What all recipes have in common.

    Attributes:
        data: the cohort.
        work: holds ``splits.json``.
        cases: of the cohort, by name.
        merge: labels read as others, in the truth and in every recipe's masks.
        folds: numbers of the folds to train and score.
        minutes: of training per fold, None for the recipes' own epochs.
        workers: processes that prepare.
        device: as of ``--device``.
    """

    data: Path
    work: Path
    cases: Mapping[str, Case]
    merge: Mapping[int, int]
    folds: tuple[int, ...]
    minutes: float | None
    workers: int
    device: str

    def facts(self) -> dict:
        """What one must know to repeat it, JSON-ready."""
        return {
            "data": str(self.data), "folds": list(self.folds), "minutes": self.minutes,
            "merge": [list(pair) for pair in sorted(self.merge.items())], "device": self.device,
            "cases": {str(fold): fold_cases(self.work, fold) for fold in self.folds},
            "versions": {"kidneyseg": kidneyseg.__version__, "mindspore": version("mindspore"),
                         "python": platform.python_version()},
            "machine": platform.platform(),
        }


@dataclass(frozen=True)
class Outcome:
    """A recipe's row of the table and, unless it failed, the scores of all its cases, of all folds."""

    row: Row
    scores: FoldScores | None = None

    @classmethod
    def failure(cls, recipe: str, reason: str) -> Outcome:
        return cls(Row(recipe, failed=reason))


class Contestant:
    """A recipe at work in WORK/<name>/; ``contest.json`` there says how far it has come.

    Raises:
        InputError: another recipe of that name, or another training time, began there.
    """

    def __init__(self, contest: Contest, recipe: Recipe) -> None:
        self.contest, self.name = contest, recipe.name
        self.place = contest.work / recipe.name
        self.recipe_file = self.place / "recipe.yaml"
        self.notes_file = self.place / "contest.json"
        asked = {"recipe": json.loads(recipe.model_dump_json()), "minutes": contest.minutes}
        if self.notes_file.exists():
            self.notes = json.loads(self.notes_file.read_text(encoding="utf-8"))
            if self.notes["asked"] != asked:
                raise InputError(self.place, expected="the recipe and --minutes that were begun with",
                                 found="others", remedy="Give another --work, or delete this folder")
        else:
            self.notes = {"asked": asked, "fitted": contest.minutes is None, "folds": {}}
            save_recipe(recipe, self.recipe_file)
            self._save()
        if not self.notes["fitted"]:  # its epochs were not set for good
            save_recipe(recipe, self.recipe_file)

    def outcome(self) -> Outcome:
        """Do what is not done yet. Raises ChildFailed or InputError."""
        splits = (self.contest.work / "splits.json").read_text(encoding="utf-8")
        write_text(self.place / "splits.json", splits)
        if not all(self._trained(fold) for fold in self.contest.folds):
            self._prepare()
        for fold in self.contest.folds:
            if not self._trained(fold):
                self._train(fold)
            if not self._scored(fold):
                self._score(fold)
        scores = {fold: read_scores(self._folder(fold) / "scores.json") for fold in self.contest.folds}
        values = self._mean_scores(list(scores.values())) | self._costs()
        cases = [case for of_fold in scores.values() for case in of_fold.cases]
        return Outcome(Row(self.name, values), score_fold(cases))

    def _prepare(self) -> None:
        self._run("prepare", "-c", self.recipe_file, "--data", self.contest.data, "--work", self.place,
                  "--workers", self.contest.workers)
        if not self.notes["fitted"]:
            self._run("budget", "-c", self.recipe_file, "--work", self.place, "--fold", self.contest.folds[0],
                      "--minutes", self.contest.minutes, "-o", self.recipe_file, "--device", self.contest.device)
            self.notes["fitted"] = True
            self._save()

    def _train(self, fold: int) -> None:
        peak = self._run("train", "-c", self.recipe_file, "--work", self.place, "--stage", "all", "--fold", fold,
                         "--resume", "--device", self.contest.device)
        notes = self._notes_of(fold)
        notes["training_mib"] = max(peak, notes.get("training_mib", 0.0))  # a resumed run has had several processes
        self._save()

    def _score(self, fold: int) -> None:
        """Predict the held-out cases from their CTs and score the masks against the truth."""
        folder, model = self._folder(fold), self._model(fold)
        cases = [self.contest.cases[name] for name in fold_cases(self.contest.work, fold)["val"]]
        summary = folder / "predicted.json"
        peak = self._run("predict", "-m", folder, "-i", *(case.image for case in cases), "-o",
                         folder / "predictions", "--overwrite", "--json", summary, "--device", self.contest.device)
        found = {entry["image"]: entry for entry in json.loads(summary.read_text(encoding="utf-8"))["cases"]}
        entries = [found[str(case.image)] for case in cases]
        write_scores(score_fold([self._score_case(case, entry) for case, entry in zip(cases, entries)]),
                     folder / "scores")
        self._notes_of(fold).update(model=model, prediction_mib=peak, merge=self._merge(),
                                    seconds=[sum(entry["seconds"].values()) for entry in entries])
        self._save()

    def _score_case(self, case: Case, entry: dict) -> dict[str, str | float]:
        merge = self.contest.merge
        return score_masks(case.name, read_mask(entry["mask"], merge), read_mask(case.label, merge))

    def _trained(self, fold: int) -> bool:
        """Whether every stage has come to the end of its last epoch."""
        if not self.notes["fitted"]:
            return False
        for stage in load_recipe(self.recipe_file).stages:
            folder = self._folder(fold) / stage.name
            rows = read_rows(folder / "log.jsonl")
            if not (folder / "best.ckpt").exists() or not rows or rows[-1]["epoch"] + 1 < stage.train.epochs:
                return False
        return True

    def _scored(self, fold: int) -> bool:
        notes = self._notes_of(fold)
        same = notes.get("merge") == self._merge() and notes.get("model") == self._model(fold)
        return same and (self._folder(fold) / "scores.json").exists()

    def _merge(self) -> list[list[int]]:
        return [list(pair) for pair in sorted(self.contest.merge.items())]

    def _model(self, fold: int) -> dict[str, str]:
        """Digests of all that makes the model."""
        folder = self._folder(fold)
        files = [Path("recipe.yaml"), *(Path(s.name, "best.ckpt") for s in load_recipe(self.recipe_file).stages)]
        return {str(file): sha256(folder / file) for file in files}

    def _mean_scores(self, folds: Sequence[FoldScores]) -> dict[str, float]:
        """Means over folds of the means over cases; NaN where no fold has a number."""
        columns = {key: [of_fold.mean[key] for of_fold in folds if not math.isnan(of_fold.mean[key])] for key in SCORES}
        return {key: float(np.mean(numbers)) if numbers else math.nan for key, numbers in columns.items()}

    def _costs(self) -> dict[str, float]:
        from kidneyseg import nets  # MindSpore takes seconds to import

        recipe, notes = load_recipe(self.recipe_file), [self._notes_of(fold) for fold in self.contest.folds]
        networks = [nets.build(stage.network, stage.classes, stage.channels) for stage in recipe.stages]
        seconds = [[row["seconds"] for stage in recipe.stages
                    for row in read_rows(self._folder(fold) / stage.name / "log.jsonl")] for fold in self.contest.folds]
        return {
            "seconds_per_case": float(np.mean([one for of_fold in notes for one in of_fold["seconds"]])),
            "parameters": sum(p.size for network in networks for p in network.trainable_params()),
            "training_minutes": sum(map(sum, seconds)) / 60 / len(seconds),
            "training_mib": max(of_fold.get("training_mib", math.nan) for of_fold in notes),
            "prediction_mib": max(of_fold["prediction_mib"] for of_fold in notes),
        }

    def _run(self, *argv: object) -> float:
        print(f"\n{self.name}$ kidneyseg {' '.join(map(str, argv))}", flush=True)
        return run_command([str(word) for word in argv])

    def _folder(self, fold: int) -> Path:
        return self.place / f"fold{fold}"

    def _notes_of(self, fold: int) -> dict:
        return self.notes["folds"].setdefault(str(fold), {})

    def _save(self) -> None:
        write_text(self.notes_file, json.dumps(self.notes, indent=1) + "\n")
