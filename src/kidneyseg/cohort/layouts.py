"""Finds the scans and masks in a data folder, for the usual layouts.

========================  =========================================================================================
layout                    files
========================  =========================================================================================
KiTS19, KiTS21, KiTS23    ``case_00000/imaging.nii.gz`` and ``case_00000/segmentation.nii.gz``, or KiTS21's
                          ``aggregated_MAJ_seg.nii.gz`` (else ``AND``, ``OR``)
nnU-Net raw               ``imagesTr/NAME_0000.nii.gz`` and ``labelsTr/NAME.nii.gz``
two folders               ``images/NAME.nii.gz`` and ``labels/NAME.nii.gz``
flat pairs                ``NAME.nii.gz`` and ``NAME_seg.nii.gz`` (or ``_mask``, ``_label``, ``-label``, ``.seg``)
========================  =========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.volume.filenames import CHANNEL, KITS_IMAGE, KITS_MASKS, MASK_ENDINGS, kits_masks, stem
from kidneyseg.volume.image_file import require_no_dicom

LAYOUTS = (
    "case_00000/{imaging,segmentation}.nii.gz (KiTS), imagesTr/NAME_0000.nii.gz + labelsTr/NAME.nii.gz (nnU-Net), "
    "images/ + labels/, or NAME.nii.gz + NAME_seg.nii.gz (_mask, _label, -label, .seg)"
)
CASE_FOLDER = re.compile(r"case_\d+")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that looks like a part of a data set but belongs to none of its cases."""

    path: Path
    expected: str
    found: str
    remedy: str


@dataclass
class Cohort:
    """The content of a data folder: cases, sorted by name, and leftovers."""

    cases: list[Case] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)


def find_cases(folder: str | Path) -> list[Case]:
    """Return the cases of :func:`read_cohort`."""
    return read_cohort(folder).cases


def read_cohort(folder: str | Path) -> Cohort:
    """Find all cases in a data folder; the layout is recognised from the files (see the module's table).

    KiTS case folders are searched in ``folder``, and in ``folder/data`` and ``folder/dataset``, where the official
    repositories put them. Cases have the names of their files or folders, so two files may have the same name;
    ``kidneyseg cohort check`` reports this, and all leftovers.

    Raises:
        InputError: no such folder, or no case in one of the layouts; the message lists the first files.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            folder,
            expected="a data folder",
            found="a file" if folder.exists() else "no such folder",
            remedy="Check the path",
        )
    layouts = (
        (_kits, folder),
        (_kits, folder / "data"),
        (_kits, folder / "dataset"),
        (_nnunet, folder),
        (_two_folders, folder),
        (_flat, folder),
    )
    for read, place in layouts:
        cohort = read(place)
        if cohort.cases:
            cohort.cases.sort(key=lambda case: (case.name, case.image))
            return cohort
    require_no_dicom(folder)
    raise InputError(
        folder,
        expected=f"cases laid out as {LAYOUTS}",
        found=_seen(folder),
        remedy="Rename the files to one of these layouts",
    )


def with_labels(cases: Sequence[Case], folder: str | Path) -> list[Case]:
    """Select the cases with a mask; KiTS19's 210-299, for example, have none. Raises InputError if no case has one."""
    labelled = [case for case in cases if case.label is not None]
    return labelled or require_labels(list(cases), folder)


def require_labels(cases: list[Case], folder: str | Path) -> list[Case]:
    """Return ``cases`` if all of them have a mask. Raises InputError that lists those without."""
    bare = [case.name for case in cases if case.label is None]
    if bare:
        raise InputError(
            folder,
            expected="a mask for every case",
            found=f"{len(bare)} of {len(cases)} without: {', '.join(bare[:5])}{' ...' if len(bare) > 5 else ''}",
            remedy="Run `kidneyseg cohort check` for the whole list, then add the masks or move those cases away",
        )
    return cases


def _files(folder: Path, leftovers: list[Leftover]) -> list[tuple[str, Path]]:
    """List (stem, path) of the image files directly in ``folder``; broken links and folders are leftovers."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in entries:
        if stem(path) and not path.is_file():
            found = "a folder" if path.is_dir() else "a broken link" if path.is_symlink() else "no plain file"
            leftovers.append(
                Leftover(
                    path,
                    "an image file",
                    found,
                    "Get the file (a data repository may have left it on its server), or remove the entry",
                )
            )
    return [(name, path) for path in entries if path.is_file() and (name := stem(path))]


def _by_name(files: Sequence[tuple[str, Path]], leftovers: list[Leftover]) -> dict[str, Path]:
    """Return name -> file; of several files with the same name the last is used and the others are leftovers."""
    named: dict[str, Path] = {}
    for name, path in files:
        if name in named:
            leftovers.append(
                Leftover(named[name], "one file of this name", f"{path.name} as well", "Remove one of the two")
            )
        named[name] = path
    return named


def _kits(folder: Path) -> Cohort:
    cohort = Cohort()
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        inside: list[Leftover] = []
        files = _by_name([(name.lower(), path) for name, path in _files(sub, inside)], inside)
        mask = next((files[name] for name in KITS_MASKS if name in files), None)
        if KITS_IMAGE in files:
            cohort.cases.append(Case(sub.name, files[KITS_IMAGE], mask))
        elif mask or CASE_FOLDER.fullmatch(sub.name):
            inside.append(
                Leftover(
                    sub,
                    f"a scan, {KITS_IMAGE}.nii.gz",
                    "a mask only" if mask else "none",
                    "Download the scan, or remove the folder",
                )
            )
        else:  # a folder of another kind
            continue
        cohort.leftovers += inside
    if cohort.cases:
        stray = _files(folder, cohort.leftovers)
        cohort.leftovers += [
            Leftover(path, "case folders only", "a file outside them", "Put it into a case folder, or elsewhere")
            for _, path in stray
        ]
    return cohort


def _nnunet(folder: Path) -> Cohort:
    cohort = Cohort()
    labels = _by_name(_files(folder / "labelsTr", cohort.leftovers), cohort.leftovers)
    images = [(name.removesuffix(CHANNEL), path) for name, path in _files(folder / "imagesTr", cohort.leftovers)]
    cohort.cases = [Case(name, path, labels.get(name)) for name, path in images]
    return _with_lone_masks(cohort, labels)


def _two_folders(folder: Path) -> Cohort:
    cohort = Cohort()
    labels = _by_name(_files(folder / "labels", cohort.leftovers), cohort.leftovers)
    images = _files(folder / "images", cohort.leftovers)
    cohort.cases = [Case(name, path, _partner(name, labels)) for name, path in images]
    return _with_lone_masks(cohort, labels)


def _flat(folder: Path) -> Cohort:
    cohort = Cohort()
    files = _files(folder, cohort.leftovers)
    labels = _by_name([(name, path) for name, path in files if name.endswith(MASK_ENDINGS)], cohort.leftovers)
    cohort.cases = [Case(name, path, _partner(name, labels)) for name, path in files if name not in labels]
    return _with_lone_masks(cohort, labels)


def _with_lone_masks(cohort: Cohort, labels: Mapping[str, Path]) -> Cohort:
    used = {case.label for case in cohort.cases}
    cohort.leftovers += [
        Leftover(path, "a scan of this name", "none", "Add the scan, or remove the mask")
        for path in labels.values()
        if path not in used
    ]
    return cohort


def _partner(name: str, labels: Mapping[str, Path]) -> Path | None:
    """Find the mask of scan ``name``: the same name, or the name with one of the usual endings."""
    return next((labels[name + ending] for ending in ("", *MASK_ENDINGS) if name + ending in labels), None)


def _seen(folder: Path) -> str:
    """Summarise the content of a folder, for the error message."""
    entries = sorted(folder.iterdir())
    if not entries:
        return "an empty folder"
    names = ", ".join(entry.name + ("/" if entry.is_dir() else "") for entry in entries[:5])
    more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
    masks = [sub for sub in entries if sub.is_dir() and kits_masks(sub)]
    hint = f"; {len(masks)} case folders have a segmentation but no imaging file" if masks else ""
    links = [path for pattern in ("*", "*/*") for path in folder.glob(pattern) if stem(path) and not path.exists()]
    hint += f"; {len(links)} files are broken links" if links else ""
    return f"{names}{more}{hint}"
