"""What ``kidneyseg prepare`` leaves in WORK/prepared: where it is, and what ``case.json`` says about a case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, with_config
from typing_extensions import NotRequired, TypedDict

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.datasets import dataset_cases, read_datasets, work_datasets
from kidneyseg.cohort.layouts import require_labels
from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.system.config_files import read_json
from kidneyseg.system.files import write_text
from kidneyseg.system.plain_path import plain_name
from kidneyseg.volume.grid import Grid, GridFacts

FORMAT = 2  # raise it when the same recipe makes different records


class Source(TypedDict):
    """A file that a case was made from; ``modified`` in ns since 1970."""

    path: str
    bytes: int
    modified: int
    sha256: NotRequired[str]  # versions before wrote none


@with_config(ConfigDict(extra="allow"))
class Settings(TypedDict):
    """As :func:`recipe_settings` says."""

    stages: dict[str, Any]
    format: NotRequired[object]
    merge: NotRequired[object]
    painted: NotRequired[object]


class Reading(TypedDict):
    """As :func:`label_reading` says."""

    merge: list[list[int]]
    uncertain: list[tuple[int, list[int]]]


@dataclass(frozen=True)
class PreparedStage:
    """One stage's records of one case.

    Attributes:
        foreground: whether each row holds a target.
        grids: of the ROIs that the rows' ``roi`` counts, as :meth:`Grid.to_dict`; :meth:`roi_grids` reads them.
        digests: SHA-256 of the record files, by their names; those of versions before have none.
    """

    foreground: list[bool]
    grids: list[GridFacts]
    digests: dict[str, str] = field(default_factory=dict)

    def roi_grids(self) -> list[Grid]:
        return [Grid.from_dict(grid) for grid in self.grids]


@dataclass(frozen=True)
class PreparedCase:
    """Contents of ``case.json``.

    Attributes:
        case: its name.
        image, label: where it came from.
        shape: voxels of the scan in canonical orientation, (z, y, x).
        spacing: mm, (z, y, x).
        labels: those in the mask's file, before the recipe's ``merge``, without the background.
        settings: :func:`recipe_settings` of the recipe it was prepared with.
        stages: by the stage's name.
        dataset, patient: which data set of ``work``/datasets.yaml it is of, and whom of it; "" where there are none.
        reading: how the labels of its mask's file were read, as :func:`label_reading` says it.
    """

    case: str
    image: Source
    label: Source
    shape: list[int]
    spacing: list[float]
    labels: list[int]
    settings: Settings
    stages: dict[str, PreparedStage]
    dataset: str = ""
    patient: str = ""
    reading: Reading = field(default_factory=lambda: Reading(merge=[], uncertain=[]))

    @property
    def uncertain(self) -> dict[int, tuple[int, ...]]:
        """Labels that stand for one of several."""
        return {label: tuple(labels) for label, labels in self.reading["uncertain"]}

    def write(self, folder: Path) -> None:
        write_text(folder / "case.json", json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> PreparedCase:
        """Raises InputError when there is no readable ``case.json``."""
        path = folder / "case.json"
        if not path.exists():
            raise InputError(
                folder, expected="a prepared case", found="no case.json", remedy="Run kidneyseg prepare first"
            )
        fault = {
            "expected": "what kidneyseg prepare wrote",
            "remedy": f"Delete {folder} and run kidneyseg prepare again",
        }
        made = read_json(path, cls, **fault)
        if made.stages.keys() != made.settings["stages"].keys():
            raise InputError(path, found="settings of other stages than there are", **fault)
        return made


def case_folder(work: str | Path, case: str) -> Path:
    return Path(work) / "prepared" / case


def record_file(folder: Path, case: str, stage: str) -> Path:
    """The MindRecord file of one case and stage inside its folder; it is not there when the stage has no samples."""
    return folder / f"{plain_name(case)}.{plain_name(stage)}.mindrecord"


def label_reading(case: Case, recipe: Recipe) -> Reading:
    """How the labels of a case's mask are read beyond the recipe's own ``merge``, as JSON types."""
    dataset = case.dataset
    merge = [] if dataset is None else sorted(dataset.merge.items())
    uncertain = sorted(case.uncertain(recipe.merge).items())
    return {"merge": [list(pair) for pair in merge], "uncertain": [(one, list(labels)) for one, labels in uncertain]}


def stage_settings(stage: Stage) -> dict:
    """Those of a stage's settings that its records depend on, as JSON types."""
    return {
        "region": stage.region.model_dump(mode="json"),
        "clip": [float(hu) for hu in stage.intensity.clip],
        "sampling": stage.sampling.model_dump(mode="json"),
        "targets": [list(labels) for labels in stage.targets],
    }


def recipe_settings(recipe: Recipe) -> Settings:
    """All settings that a case's records depend on, as JSON types."""
    return {
        "format": FORMAT,
        "merge": [list(pair) for pair in sorted(recipe.merge.items())],
        "painted": list(recipe.result_stages),  # it decides on which grid later stages find a stage's mask
        "stages": {stage.name: stage_settings(stage) for stage in recipe.stages},
    }


def locate_cases(work: Path, names: Sequence[str], data: Path | None = None) -> list[Case]:
    """The scans and masks of ``names``: in ``data`` if it is given, else where they were when they were prepared.

    Raises:
        InputError: a case is not in ``data``, was not prepared, or its files have moved.
    """
    if data is not None:
        found = {case.name: case for case in dataset_cases(read_datasets([data]))}
        absent = [name for name in names if name not in found]
        if absent:
            raise InputError(
                data,
                expected=f"the {len(names)} cases asked for",
                found=f"no {', '.join(absent[:5])}",
                remedy="Give the folder that `kidneyseg prepare` read",
            )
        return require_labels([found[name] for name in names], data)
    cases, datasets = [], work_datasets(work)
    for name in names:
        prepared = PreparedCase.read(case_folder(work, name))
        image, label = Path(prepared.image["path"]), Path(prepared.label["path"])
        for path in (image, label):
            if not path.is_file():
                raise InputError(
                    path,
                    expected=f"a file of case {name}, where it was when it was prepared",
                    found="no such file",
                    remedy="Say with --data where the cohort is now",
                )
        cases.append(Case(name, image, label, datasets.get(prepared.dataset), prepared.patient))
    return cases
