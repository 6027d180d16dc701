"""A case (one scan with its mask), and its data set, which defines how masks are read and who the patient is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from kidneyseg.errors import InputError
from kidneyseg.recipe.base import RecipePart
from kidneyseg.recipe.schema import Label


class DataSet(RecipePart):
    """One data set and how to read it.

    name: prefix of the names of its cases in a work folder, ``NAME.CASE``; empty, without prefix, for a single data
        folder.
    folder: data folder, in one of the layouts of :mod:`kidneyseg.cohort.layouts`.
    merge: labels of its masks that are read as another label, before the recipe's ``merge``.
    covers: labels of its masks that include other labels: {1: [1, 2, 3]} means that a voxel with label 1 may be kidney,
        tumour or cyst. If these are different classes of a stage, the voxel counts as any of them.
    weight: how often its samples are drawn relative to other data sets, independent of their numbers of samples; 0: it
        is not used in training and validation, only ``kidneyseg eval`` scores it.
    patient: regular expression that matches the patient in a case's name (its first group, if it has one); by default
        every case is a patient. All cases of a patient are on the same side of a split.
    source: data sets with the same source have the same patients; by default the data set's name.
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
        """Return the patient of the case with this file name. Raises InputError if the pattern does not match."""
        found = re.search(self.patient, case)
        if not found:
            raise InputError(
                f"case {case!r} of data set {self.name!r}",
                expected=f"a name with {self.patient!r} in it",
                found="none",
                remedy="Correct the data set's `patient` pattern",
            )
        return f"{self.source or self.name}:{found.group(1 if found.re.groups else 0)}"

    def reading(self, merge: Mapping[int, int]) -> dict[int, int]:
        """Combine this data set's ``merge`` and the recipe's, for :func:`kidneyseg.volume.nifti.read_mask`."""
        return {**merge, **{label: merge.get(other, other) for label, other in self.merge.items()}}

    def uncertain(self, merge: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
        """Return label after :meth:`reading` -> the labels that it may be, for labels that may be several."""
        read = self.reading(merge)
        may_be = {
            read.get(label, label): tuple(sorted({read.get(one, one) for one in labels}))
            for label, labels in self.covers.items()
        }
        return {label: labels for label, labels in may_be.items() if len(labels) > 1}


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        name: name of the case.
        image: path of the scan.
        label: path of the mask; None without mask.
        dataset: its data set; None for a single data folder.
        patient: its patient; "" for a single data folder.
    """

    name: str
    image: Path
    label: Path | None
    dataset: DataSet | None = None
    patient: str = ""

    def true_mask_path(self) -> Path:
        """Return ``label``, which is then not None. Raises InputError if the case has no mask."""
        if self.label is None:
            raise InputError(
                self.image,
                expected="a label beside the scan",
                found="none",
                remedy="Add its mask, or move the scan out of the data folder",
            )
        return self.label

    @property
    def dataset_name(self) -> str:
        """Name of its data set; "" for a single data folder."""
        return self.dataset.name if self.dataset else ""

    def reading(self, merge: Mapping[int, int]) -> Mapping[int, int]:
        """Combine the data set's ``merge`` and the recipe's ``merge``, to read its mask."""
        return self.dataset.reading(merge) if self.dataset else merge

    def uncertain(self, merge: Mapping[int, int]) -> Mapping[int, tuple[int, ...]]:
        """Return label, as read -> the labels that it may be, for labels that may be several."""
        return self.dataset.uncertain(merge) if self.dataset else {}
