"""The candidates of a comparison. Their masks are predicted by kidneyseg commands in own processes, only once."""

from __future__ import annotations

import json
import math
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from typing_extensions import NotRequired, TypedDict

import kidneyseg
from kidneyseg.cohort.case import Case
from kidneyseg.cohort.folds import fold_cases
from kidneyseg.errors import InputError
from kidneyseg.evaluation.command_process import run_command
from kidneyseg.metrics.mask_folder import score_masks
from kidneyseg.metrics.summary import FoldScores, score_fold
from kidneyseg.model_folder.folder import BEST, RECIPE
from kidneyseg.recipe import load_recipe
from kidneyseg.report.comparison import SCORES, Row
from kidneyseg.report.tables import read_scores, write_scores
from kidneyseg.system.config_files import read_json
from kidneyseg.system.digest import sha256
from kidneyseg.system.files import write_text
from kidneyseg.system.privacy import without_user
from kidneyseg.volume.nifti import read_mask


class FoldNotes(TypedDict):
    """Results of one fold."""

    training_mib: NotRequired[float]
    model: NotRequired[dict[str, str]]
    merge: NotRequired[list[list[int]]]
    seconds: NotRequired[Annotated[list[float], Field(min_length=1)]]
    prediction_mib: NotRequired[float]


class Notes(TypedDict):
    """``contest.json``."""

    asked: dict[str, Any]
    folds: dict[str, FoldNotes]
    fitted: NotRequired[bool]


class PredictedCase(TypedDict):
    """The entries used here of one case in the summary of ``kidneyseg predict``."""

    image: str
    mask: str
    seconds: dict[str, float]


class Predicted(TypedDict):
    cases: list[PredictedCase]


@dataclass(frozen=True)
class Contest:
    """The settings that all candidates of a comparison share.

    Attributes:
        data: the data folder.
        work: folder with ``splits.json``.
        cases: name -> case.
        merge: label -> the label that it is read as, in the true and in the predicted masks.
        folds: numbers of the folds to train and score.
        minutes: training time per fold; None: the epochs in the recipes.
        workers: number of processes for the preparation.
        device: as for ``--device``.
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
        """Collect all that is needed to repeat the comparison, as JSON types."""
        return {
            "data": without_user(self.data),
            "folds": list(self.folds),
            "minutes": self.minutes,
            "merge": [list(pair) for pair in sorted(self.merge.items())],
            "device": self.device,
            "cases": {str(fold): fold_cases(self.work, fold) for fold in self.folds},
            "versions": {
                "kidneyseg": kidneyseg.__version__,
                "mindspore": version("mindspore"),
                "python": platform.python_version(),
            },
            "machine": platform.platform(),
        }


@dataclass(frozen=True)
class CandidateResult:
    """The result of a candidate.

    Attributes:
        row: its row of the table.
        scores: scores of all cases of all folds; None if it failed.
    """

    row: Row
    scores: FoldScores | None = None

    @classmethod
    def failure(cls, name: str, reason: str) -> CandidateResult:
        """Make the result of a failed candidate."""
        return cls(Row(name, failed=without_user(reason)))


class Candidate(ABC):
    """A candidate with its folder WORK/<name>/; ``contest.json`` in it has its settings and its progress.

    Args:
        contest: the shared settings.
        name: name of the candidate.
        asked: its own settings, as JSON types.

    Raises:
        InputError: the folder was started with other settings.
    """

    def __init__(self, contest: Contest, name: str, asked: dict) -> None:
        self.contest, self.name, asked = contest, name, without_user(asked)
        self.place = contest.work / name
        self.notes_file = self.place / "contest.json"
        if self.notes_file.exists():
            self.notes = read_json(
                self.notes_file,
                Notes,
                expected="the progress of `kidneyseg compare`",
                remedy=f"Give another --work, or delete {self.place}",
            )
            if without_user(self.understand(self.notes["asked"])) != asked:
                raise InputError(
                    self.place,
                    expected="the recipe and --minutes with which it was started",
                    found="others",
                    remedy="Give another --work, or delete this folder",
                )
        else:
            self.notes = {"asked": asked, "folds": {}}

    def understand(self, asked: dict) -> dict:
        """Convert the settings in ``contest.json``, maybe of an earlier version, to the form of this version."""
        return asked

    @abstractmethod
    def models(self, fold: int) -> list[Path]:
        """Return the folders of the models that are averaged."""

    def finders(self, fold: int) -> list[Path]:
        """Return the folders of more models, which take part only in the localisation."""
        return []

    @abstractmethod
    def costs(self) -> dict[str, float]:
        """Return the costs of training and prediction, by column of the table."""

    def outcome(self) -> CandidateResult:
        """Score all folds that are not scored yet. Raises ChildFailed or InputError."""
        for fold in self.contest.folds:
            if not self._scored(fold):
                self._score(fold)
        scores = [read_scores(self.folder(fold) / "scores.json") for fold in self.contest.folds]
        cases = [case for of_fold in scores for case in of_fold.cases]
        return CandidateResult(Row(self.name, _mean_scores(scores) | self.costs()), score_fold(cases))

    def folder(self, fold: int) -> Path:
        return self.place / f"fold{fold}"

    def notes_of(self, fold: int) -> FoldNotes:
        return self.notes["folds"].setdefault(str(fold), {})

    def save(self) -> None:
        write_text(self.notes_file, json.dumps(self.notes, indent=1) + "\n")

    def run(self, *argv: object) -> float:
        print(f"\n{self.name}$ kidneyseg {' '.join(map(str, argv))}", flush=True)
        return run_command([str(word) for word in argv])

    def prediction_costs(self) -> dict[str, float]:
        notes = [self.notes_of(fold) for fold in self.contest.folds]
        return {
            "seconds_per_case": float(np.mean([one for of_fold in notes for one in of_fold["seconds"]])),
            "prediction_mib": max(of_fold["prediction_mib"] for of_fold in notes),
        }

    def _score(self, fold: int) -> None:
        """Predict the held-out cases from their CTs and score the masks against the true masks."""
        folder, digests = self.folder(fold), self._digests(fold)
        cases = [self.contest.cases[name] for name in fold_cases(self.contest.work, fold)["val"]]
        folder.mkdir(parents=True, exist_ok=True)
        summary = folder / "predicted.json"
        finders = self.finders(fold)
        models = [*self.models(fold), *(["--finders", *finders] if finders else [])]
        peak = self.run(
            "predict",
            "-m",
            *models,
            "-i",
            *(case.image for case in cases),
            "-o",
            folder / "predictions",
            "--overwrite",
            "--json",
            summary,
            "--device",
            self.contest.device,
        )
        predicted = read_json(
            summary,
            Predicted,
            expected="the summary of `kidneyseg predict --json`",
            remedy="Run the same command again",
        )
        found = {entry["image"]: entry for entry in predicted["cases"]}
        entries = [found[without_user(case.image)] for case in cases]
        masks = [folder / "predictions" / Path(entry["mask"]).name for entry in entries]
        write_scores(score_fold([self._score_case(case, mask) for case, mask in zip(cases, masks)]), folder / "scores")
        notes: FoldNotes = {
            "model": digests,
            "prediction_mib": peak,
            "merge": self._merge(),
            "seconds": [sum(entry["seconds"].values()) for entry in entries],
        }
        self.notes_of(fold).update(notes)
        self.save()

    def _score_case(self, case: Case, mask: Path) -> dict[str, str | float]:
        merge = self.contest.merge
        return score_masks(case.name, read_mask(mask, merge), read_mask(case.true_mask_path(), merge))

    def _scored(self, fold: int) -> bool:
        notes = self.notes_of(fold)
        same = notes.get("merge") == self._merge() and notes.get("model") == self._digests(fold)
        timed = {"seconds", "prediction_mib"} <= notes.keys()
        return same and timed and (self.folder(fold) / "scores.json").exists()

    def _merge(self) -> list[list[int]]:
        return [list(pair) for pair in sorted(self.contest.merge.items())]

    def _digests(self, fold: int) -> dict[str, str]:
        """Return path under WORK -> SHA-256 of all files of the models."""
        files = [
            folder / file
            for folder in (*self.models(fold), *self.finders(fold))
            for file in (RECIPE, *(f"{stage.name}/{BEST}" for stage in load_recipe(folder / RECIPE).stages))
        ]
        return {str(file.relative_to(self.contest.work)): sha256(file) for file in files}


def _mean_scores(folds: list[FoldScores]) -> dict[str, float]:
    """Average the folds' means over cases; NaN if no fold has a number."""
    columns = {key: [of_fold.mean[key] for of_fold in folds if not math.isnan(of_fold.mean[key])] for key in SCORES}
    return {key: float(np.mean(numbers)) if numbers else math.nan for key, numbers in columns.items()}
