"""Several data sets in one work folder: what each one's masks mean, and which of its cases are one patient."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from kidneyseg.atomic import write_text
from kidneyseg.config_files import first_fault, read_yaml
from kidneyseg.data.cohort import Case, find_cases
from kidneyseg.errors import InputError
from kidneyseg.recipe.model import Model
from kidneyseg.recipe.schema import Label

FILE = "datasets.yaml"
YAML_SUFFIXES = (".yaml", ".yml")


class DataSet(Model):
    """One cohort and how to read it.

    name: begins the names of its cases in a work folder, ``NAME.CASE``; of a lone cohort it is empty and does not.
    folder: in one of the layouts of :mod:`kidneyseg.data.cohort`.
    merge: labels of its masks that are read as another, before the recipe's own ``merge``.
    covers: labels of its masks that were drawn over other ones too: {1: [1, 2, 3]} says that a voxel of label 1 may
        be kidney, tumour or cyst. Where a stage tells these apart, the voxel counts as any of them.
    weight: how often its samples are drawn beside those of the other data sets, whatever their numbers; 0: it neither
        trains nor validates, and only `kidneyseg eval` scores it.
    patient: regular expression that finds the patient in a case's name (its first group, if it has one); by default
        every case is a patient. Splits never divide a patient.
    source: data sets of one source have the same patients; by default the data set's name.
    """

    name: str = Field("", pattern=r"^[\w-]*$")
    folder: Path
    merge: dict[Label, int] = {}
    covers: dict[Label, tuple[Label, ...]] = {}
    weight: Annotated[float, Field(ge=0)] = 1.0
    patient: str = "^.*$"
    source: str = ""

    @field_validator("patient")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} must be a regular expression: {error}") from None
        return value

    def patient_of(self, case: str) -> str:
        """Patient of the case called ``case`` in its own folder. Raises InputError where the pattern finds none."""
        found = re.search(self.patient, case)
        if not found:
            raise InputError(f"case {case!r} of data set {self.name!r}", expected=f"a name with {self.patient!r} in it",
                             found="none", remedy="Correct the data set's `patient` pattern")
        return f"{self.source or self.name}:{found.group(1 if found.re.groups else 0)}"

    def reading(self, merge: Mapping[int, int]) -> dict[int, int]:
        """What :func:`kidneyseg.volume.nifti.read_mask` merges: this data set's labels, then the recipe's ``merge``."""
        return {**merge, **{label: merge.get(other, other) for label, other in self.merge.items()}}

    def uncertain(self, merge: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
        """Label, as read with :meth:`reading` -> the labels that it may be; only those that may be several."""
        read = self.reading(merge)
        may_be = {read.get(label, label): tuple(sorted({read.get(one, one) for one in labels}))
                  for label, labels in self.covers.items()}
        return {label: labels for label, labels in may_be.items() if len(labels) > 1}


def read_datasets(paths: Sequence[str | Path]) -> list[DataSet]:
    """The data sets that ``--data`` names: one folder, several folders, or one YAML file with a list of data sets.

    Several folders are named after themselves. Folders in a YAML file are relative to it.

    Raises:
        InputError: a file that is no list of data sets, or two data sets of one name.
    """
    paths = [Path(path) for path in paths]
    if len(paths) == 1:
        if paths[0].suffix.lower() not in YAML_SUFFIXES:
            return [DataSet(folder=paths[0])]
        datasets = _parse(paths[0])
    else:
        datasets = [_named(path) for path in paths]
    names = [one.name for one in datasets]
    if len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise InputError(
            " ".join(map(str, paths)), expected="data sets of different names", found=", ".join(map(repr, names)),
            remedy="List the data sets in a YAML file and give each a name",
        )
    return datasets


def dataset_cases(datasets: Sequence[DataSet]) -> list[Case]:
    """The cases of all ``datasets``, named ``DATASET.CASE`` where the data set has a name.

    Raises:
        InputError: as :func:`kidneyseg.data.cohort.find_cases`.
    """
    return [replace(case, name=f"{one.name}.{case.name}" if one.name else case.name, dataset=one,
                    patient=one.patient_of(case.name))
            for one in datasets for case in find_cases(one.folder)]


def save_datasets(datasets: Sequence[DataSet], work: str | Path) -> None:
    """Write ``work``/datasets.yaml, atomically; :func:`work_datasets` reads it back."""
    content = [one.model_copy(update={"folder": one.folder.resolve()}).model_dump(mode="json", exclude_defaults=True)
               | {"merge": one.merge, "covers": {label: list(labels) for label, labels in one.covers.items()}}
               for one in datasets]
    write_text(Path(work) / FILE, yaml.safe_dump(content, sort_keys=False, width=110))


def work_datasets(work: str | Path) -> dict[str, DataSet]:
    """Name -> data set of what `kidneyseg prepare` read into ``work``; empty where it has written no such file."""
    path = Path(work) / FILE
    return {one.name: one for one in _parse(path)} if path.exists() else {}


def _named(folder: Path) -> DataSet:
    name = re.sub(r"[^\w-]+", "_", folder.resolve().name)
    return DataSet(name=name, folder=folder)


def _parse(path: Path) -> list[DataSet]:
    fault = {"expected": "a list of data sets, each with name and folder",
             "remedy": "Correct that line; `kidneyseg prepare --help` shows an example"}
    try:
        datasets = TypeAdapter(list[DataSet]).validate_python(read_yaml(path, **fault))
    except ValidationError as error:
        found = first_fault(error)
    else:
        if datasets:
            return [one.model_copy(update={"folder": path.parent / one.folder}) for one in datasets]
        found = "an empty list"
    raise InputError(path, found=found, **fault)
