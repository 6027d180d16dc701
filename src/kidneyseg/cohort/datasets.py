"""Several data sets in one work folder: read from folders or a YAML file, and recorded in ``datasets.yaml``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from kidneyseg.cohort.case import Case, DataSet
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.errors import InputError
from kidneyseg.system.config_files import first_fault, read_yaml
from kidneyseg.system.files import write_text

FILE = "datasets.yaml"
YAML_SUFFIXES = (".yaml", ".yml")


def read_datasets(paths: Sequence[str | Path]) -> list[DataSet]:
    """Read the data sets of ``--data``: one folder, several folders, or one YAML file with a list of data sets.

    Several folders get their folder names as names. Folders in a YAML file are relative to this file.

    Raises:
        InputError: a file that is not a list of data sets, or two data sets with the same name.
    """
    places = [Path(path) for path in paths]
    if len(places) == 1:
        if places[0].suffix.lower() not in YAML_SUFFIXES:
            return [DataSet(folder=places[0])]
        datasets = _parse(places[0])
    else:
        datasets = [_named(place) for place in places]
    names = [one.name for one in datasets]
    if len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise InputError(
            " ".join(map(str, places)),
            expected="data sets of different names",
            found=", ".join(map(repr, names)),
            remedy="List the data sets in a YAML file and give each a name",
        )
    return datasets


def dataset_cases(datasets: Sequence[DataSet]) -> list[Case]:
    """Find the cases of all ``datasets``; their names are ``DATASET.CASE`` if the data set has a name.

    Raises:
        InputError: as for :func:`kidneyseg.cohort.layouts.find_cases`.
    """
    return [
        replace(
            case,
            name=f"{one.name}.{case.name}" if one.name else case.name,
            dataset=one,
            patient=one.patient_of(case.name),
        )
        for one in datasets
        for case in find_cases(one.folder)
    ]


def save_datasets(datasets: Sequence[DataSet], work: str | Path) -> None:
    """Write ``work``/datasets.yaml, atomically; :func:`work_datasets` reads it."""
    content = [
        one.model_copy(update={"folder": one.folder.resolve()}).model_dump(mode="json", exclude_defaults=True)
        | {"merge": one.merge, "covers": {label: list(labels) for label, labels in one.covers.items()}}
        for one in datasets
    ]
    write_text(Path(work) / FILE, yaml.safe_dump(content, sort_keys=False, width=110))


def work_datasets(work: str | Path) -> dict[str, DataSet]:
    """Read name -> data set from ``work``/datasets.yaml, which ``kidneyseg prepare`` wrote; empty without a file."""
    path = Path(work) / FILE
    return {one.name: one for one in _parse(path)} if path.exists() else {}


def _named(folder: Path) -> DataSet:
    name = re.sub(r"[^\w-]+", "_", folder.resolve().name)
    return DataSet(name=name, folder=folder)


def _parse(path: Path) -> list[DataSet]:
    fault = {
        "expected": "a list of data sets, each with name and folder",
        "remedy": "Correct that line; `kidneyseg prepare --help` shows an example",
    }
    try:
        datasets = TypeAdapter(list[DataSet]).validate_python(read_yaml(path, **fault))
    except ValidationError as error:
        found = first_fault(error)
    else:
        if datasets:
            return [one.model_copy(update={"folder": path.parent / one.folder}) for one in datasets]
        found = "an empty list"
    raise InputError(path, found=found, **fault)
