"""The results of ``kidneyseg prepare`` in WORK/prepared: paths, and the contents of ``case.json``."""

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

FORMAT = 2  # to be increased when the same recipe gives different records


class Source(TypedDict):
    """An input file of a case; ``modified`` is in ns since 1970."""

    path: str
    bytes: int
    modified: int
    sha256: NotRequired[str]  # missing in files of earlier versions


@with_config(ConfigDict(extra="allow"))
class Settings(TypedDict):
    """Result of :func:`recipe_settings`."""

    stages: dict[str, Any]
    format: NotRequired[object]
    merge: NotRequired[object]
    painted: NotRequired[object]


class Reading(TypedDict):
    """Result of :func:`label_reading`."""

    merge: list[list[int]]
    uncertain: list[tuple[int, list[int]]]


@dataclass(frozen=True)
class PreparedStage:
    """The records of one case for one stage.

    Attributes:
        foreground: whether each row contains a target.
        grids: grids of the ROIs to which the rows' ``roi`` refers, as :meth:`Grid.to_dict`.
        digests: file name -> SHA-256 of the record files; empty for records of earlier versions.
    """

    foreground: list[bool]
    grids: list[GridFacts]
    digests: dict[str, str] = field(default_factory=dict)

    def roi_grids(self) -> list[Grid]:
        """Return ``grids`` as Grid objects."""
        return [Grid.from_dict(grid) for grid in self.grids]


@dataclass(frozen=True)
class PreparedCase:
    """Contents of ``case.json``.

    Attributes:
        case: name of the case.
        image, label: the input files.
        shape: voxels of the scan in canonical orientation, (z, y, x).
        spacing: mm, (z, y, x).
        labels: labels in the mask file, before the recipe's ``merge``, without the background.
        settings: :func:`recipe_settings` of the recipe.
        stages: stage name -> records.
        dataset: data set in ``work``/datasets.yaml; "" if there is none.
        patient: patient in this data set; "" if there is none.
        reading: :func:`label_reading` of the mask file.
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
        """Label -> the labels of which it may be any."""
        return {label: tuple(labels) for label, labels in self.reading["uncertain"]}

    def write(self, folder: Path) -> None:
        """Write ``case.json``, atomically."""
        write_text(folder / "case.json", json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> PreparedCase:
        """Read ``case.json``. Raises InputError if it is missing or damaged."""
        path = folder / "case.json"
        if not path.exists():
            raise InputError(
                folder, expected="a prepared case", found="no case.json", remedy="Run kidneyseg prepare first"
            )
        fault = {
            "expected": "the file that kidneyseg prepare wrote",
            "remedy": f"Delete {folder} and run kidneyseg prepare again",
        }
        made = read_json(path, cls, **fault)
        if made.stages.keys() != made.settings["stages"].keys():
            raise InputError(path, found="settings of other stages", **fault)
        return made


def case_folder(work: str | Path, case: str) -> Path:
    return Path(work) / "prepared" / case


def record_file(folder: Path, case: str, stage: str) -> Path:
    """Path of the MindRecord file of one case and stage; the file is missing if the stage has no samples."""
    return folder / f"{plain_name(case)}.{plain_name(stage)}.mindrecord"


def label_reading(case: Case, recipe: Recipe) -> Reading:
    """Describe how the labels of a case's mask are read in addition to the recipe's ``merge``, as JSON types."""
    dataset = case.dataset
    merge = [] if dataset is None else sorted(dataset.merge.items())
    uncertain = sorted(case.uncertain(recipe.merge).items())
    return {"merge": [list(pair) for pair in merge], "uncertain": [(one, list(labels)) for one, labels in uncertain]}


def stage_settings(stage: Stage) -> dict:
    """Collect the settings of a stage on which its records depend, as JSON types."""
    return {
        "region": stage.region.model_dump(mode="json"),
        "clip": [float(hu) for hu in stage.intensity.clip],
        "sampling": stage.sampling.model_dump(mode="json"),
        "targets": [list(labels) for labels in stage.targets],
    }


def recipe_settings(recipe: Recipe) -> Settings:
    """Collect all settings on which the records of a case depend, as JSON types."""
    return {
        "format": FORMAT,
        "merge": [list(pair) for pair in sorted(recipe.merge.items())],
        "painted": list(recipe.result_stages),  # determines the grid of the masks that later stages use
        "stages": {stage.name: stage_settings(stage) for stage in recipe.stages},
    }


def locate_cases(work: Path, names: Sequence[str], data: Path | None = None) -> list[Case]:
    """Find the scans and masks of prepared cases.

    Args:
        work: folder that ``kidneyseg prepare`` filled.
        names: names of the cases.
        data: data folder; default: the paths at the time of the preparation.

    Raises:
        InputError: a case is not in ``data``, was not prepared, or its files have moved.
    """
    if data is not None:
        found = {case.name: case for case in dataset_cases(read_datasets([data]))}
        absent = [name for name in names if name not in found]
        if absent:
            raise InputError(
                data,
                expected=f"the {len(names)} requested cases",
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
                    expected=f"a file of case {name} at its path during `kidneyseg prepare`",
                    found="no such file",
                    remedy="Give the present data folder with --data",
                )
        cases.append(Case(name, image, label, datasets.get(prepared.dataset), prepared.patient))
    return cases
