"""One scan with its mask, and the data set that says how to read that mask and whom it shows."""

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
    """One cohort and how to read it.

    name: begins the names of its cases in a work folder, ``NAME.CASE``; of a lone cohort it is empty and does not.
    folder: in one of the layouts of :mod:`kidneyseg.cohort.layouts`.
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
            raise InputError(
                f"case {case!r} of data set {self.name!r}",
                expected=f"a name with {self.patient!r} in it",
                found="none",
                remedy="Correct the data set's `patient` pattern",
            )
        return f"{self.source or self.name}:{found.group(1 if found.re.groups else 0)}"

    def reading(self, merge: Mapping[int, int]) -> dict[int, int]:
        """What :func:`kidneyseg.volume.nifti.read_mask` merges: this data set's labels, then the recipe's ``merge``."""
        return {**merge, **{label: merge.get(other, other) for label, other in self.merge.items()}}

    def uncertain(self, merge: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
        """Label, as read with :meth:`reading` -> the labels that it may be; only those that may be several."""
        read = self.reading(merge)
        may_be = {
            read.get(label, label): tuple(sorted({read.get(one, one) for one in labels}))
            for label, labels in self.covers.items()
        }
        return {label: labels for label, labels in may_be.items() if len(labels) > 1}


@dataclass(frozen=True)
class Case:
    """One scan: ``label`` is None when there is no mask; ``dataset`` and ``patient`` where a data set says more."""

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
        """Name of its data set; "" of a lone cohort."""
        return self.dataset.name if self.dataset else ""

    def reading(self, merge: Mapping[int, int]) -> Mapping[int, int]:
        """What to merge in its mask: the data set's labels, then those of a recipe's ``merge``."""
        return self.dataset.reading(merge) if self.dataset else merge

    def uncertain(self, merge: Mapping[int, int]) -> Mapping[int, tuple[int, ...]]:
        """Labels of its mask, as read, that stand for one of several."""
        return self.dataset.uncertain(merge) if self.dataset else {}
