"""Which scans and masks a data folder holds, for the layouts in use.

========================  =========================================================================================
layout                    files
========================  =========================================================================================
KiTS19, KiTS21, KiTS23    ``case_00000/imaging.nii.gz`` and ``case_00000/segmentation.nii.gz``
nnU-Net raw               ``imagesTr/NAME_0000.nii.gz`` and ``labelsTr/NAME.nii.gz``
two folders               ``images/NAME.nii.gz`` and ``labels/NAME.nii.gz``
flat pairs                ``NAME.nii.gz`` and ``NAME_seg.nii.gz`` (or ``_mask``, ``_label``, ``-label``)
========================  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kidneyseg.errors import InputError
from kidneyseg.volume.image_file import require_no_dicom
from kidneyseg.volume.names import MASK_ENDINGS, stem

if TYPE_CHECKING:
    from kidneyseg.data.datasets import DataSet

LAYOUTS = (
    "case_00000/{imaging,segmentation}.nii.gz (KiTS), imagesTr/NAME_0000.nii.gz + labelsTr/NAME.nii.gz (nnU-Net), "
    "images/ + labels/, or NAME.nii.gz + NAME_seg.nii.gz (_mask, _label, -label)"
)


@dataclass(frozen=True)
class Case:
    """One scan: ``label`` is None when there is no mask; ``dataset`` and ``patient`` where a data set says more."""

    name: str
    image: Path
    label: Path | None
    dataset: DataSet | None = None
    patient: str = ""

    def reading(self, merge: Mapping[int, int]) -> Mapping[int, int]:
        """What to merge in its mask: the data set's labels, then those of a recipe's ``merge``."""
        return self.dataset.reading(merge) if self.dataset else merge

    def uncertain(self, merge: Mapping[int, int]) -> Mapping[int, tuple[int, ...]]:
        """Labels of its mask, as read, that stand for one of several."""
        return self.dataset.uncertain(merge) if self.dataset else {}


def find_cases(folder: str | Path) -> list[Case]:
    """All cases of a data folder, sorted by name; the layout is recognised from the files (see the module's table).

    KiTS folders are searched for in ``folder`` and, where the official repositories put them, in ``folder/data`` and
    ``folder/dataset``; those whose scan was never downloaded are left out. Names are those of the files or case
    folders, so two files may claim one: `kidneyseg cohort check` reports that.

    Raises:
        InputError: no such folder, or nothing in it that is one of the layouts, naming what was seen instead.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            folder,
            expected="a data folder",
            found="a file" if folder.exists() else "no such folder",
            remedy="Check the path",
        )
    kits = _kits(folder) or _kits(folder / "data") or _kits(folder / "dataset")
    cases = kits or _nnunet(folder) or _two_folders(folder) or _flat(folder)
    if not cases:
        require_no_dicom(folder)
        raise InputError(
            folder,
            expected=f"cases laid out as {LAYOUTS}",
            found=_seen(folder),
            remedy="Rename the files to one of these layouts",
        )
    return sorted(cases, key=lambda case: (case.name, case.image))


def require_labels(cases: list[Case], folder: str | Path) -> list[Case]:
    """``cases`` again if all of them have a mask. Raises InputError naming those that have none."""
    bare = [case.name for case in cases if case.label is None]
    if bare:
        raise InputError(
            folder,
            expected="a mask for every case",
            found=f"{len(bare)} of {len(cases)} without: {', '.join(bare[:5])}{' ...' if len(bare) > 5 else ''}",
            remedy="Run `kidneyseg cohort check` for the whole list, then add the masks or move those cases away",
        )
    return cases


def _images(folder: Path) -> list[tuple[str, Path]]:
    """(stem, path) of the image files directly in ``folder``."""
    if not folder.is_dir():
        return []
    return [(name, path) for path in sorted(folder.iterdir()) if path.is_file() and (name := stem(path))]


def _kits(folder: Path) -> list[Case]:
    cases = []
    if folder.is_dir():
        for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
            files = dict(_images(sub))
            if "imaging" in files:
                cases.append(Case(sub.name, files["imaging"], files.get("segmentation")))
    return cases


def _nnunet(folder: Path) -> list[Case]:
    labels = dict(_images(folder / "labelsTr"))
    images = [(name.removesuffix("_0000"), path) for name, path in _images(folder / "imagesTr")]
    return [Case(name, path, labels.get(name)) for name, path in images]


def _two_folders(folder: Path) -> list[Case]:
    labels = dict(_images(folder / "labels"))
    return [Case(name, path, _partner(name, labels)) for name, path in _images(folder / "images")]


def _flat(folder: Path) -> list[Case]:
    files = _images(folder)
    labels = {name: path for name, path in files if name.endswith(MASK_ENDINGS)}
    return [Case(name, path, _partner(name, labels)) for name, path in files if name not in labels]


def _partner(name: str, labels: dict[str, Path]) -> Path | None:
    """The mask of scan ``name``: the same name, or the name with one of the usual endings."""
    return next((labels[name + ending] for ending in ("", *MASK_ENDINGS) if name + ending in labels), None)


def _seen(folder: Path) -> str:
    """What a folder holds, in a few words, for the error message."""
    entries = sorted(folder.iterdir())
    if not entries:
        return "an empty folder"
    names = ", ".join(entry.name + ("/" if entry.is_dir() else "") for entry in entries[:5])
    more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
    masks = [sub for sub in entries if sub.is_dir() and "segmentation" in dict(_images(sub))]
    hint = f"; {len(masks)} case folders have a segmentation but no imaging file" if masks else ""
    return f"{names}{more}{hint}"
