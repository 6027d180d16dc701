"""Cross-validation folds, stratified by tumour volume."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.system.config_files import read_json
from kidneyseg.system.files import write_text
from kidneyseg.system.worker_pool import run_cases
from kidneyseg.volume.nifti import read_mask

TUMOUR = 2


def make_splits(
    volumes: Mapping[str, float],
    folds: int = 5,
    seed: int = 2022,
    *,
    patients: Mapping[str, str] | None = None,
    datasets: Mapping[str, str] | None = None,
) -> dict:
    """Make folds that are stratified by tumour volume and data set; the same arguments give the same folds.

    Patients of the same data sets are sorted by tumour volume. From each block of ``folds`` consecutive patients, one
    is assigned to every fold at random. All cases of a patient are in the same fold.

    Args:
        volumes: case -> tumour volume, any unit; for a patient with several cases the largest volume is used.
        folds: number of folds.
        seed: seed of the random assignment.
        patients: case -> patient; default: every case is a patient.
        datasets: case -> data set; default: one data set.

    Returns:
        {"seed": int, "folds": [{"train": [names], "val": [names]}, ...]}, names sorted; every case is in exactly one
        "val". If every case is a patient and there is one data set, fold sizes differ by at most one.

    Raises:
        InputError: fewer than 2 folds, or fewer patients than folds.
    """
    cases_of: dict[str, list[str]] = {}
    for name in sorted(volumes):
        cases_of.setdefault(patients[name] if patients else name, []).append(name)
    if folds < 2 or len(cases_of) < folds:
        raise InputError(
            "folds",
            expected=f"2 to {len(cases_of)} folds, the number of {'patients' if patients else 'cases'}",
            found=str(folds),
            remedy="Give fewer folds or more cases" if folds >= 2 else "Give at least 2",
        )
    groups: dict[tuple[str, ...], list[str]] = {}
    for patient, names in cases_of.items():
        groups.setdefault(tuple(sorted({datasets[name] for name in names})) if datasets else (), []).append(patient)
    rng = np.random.default_rng(seed)
    held_out: list[list[str]] = [[] for _ in range(folds)]
    for _, group in sorted(groups.items()):
        ordered = sorted(group, key=lambda patient: (max(volumes[name] for name in cases_of[patient]), patient))
        for start in range(0, len(ordered), folds):
            for fold, patient in zip(rng.permutation(folds), ordered[start : start + folds]):
                held_out[fold] += cases_of[patient]
    return {"seed": seed, "folds": [{"train": sorted(set(volumes) - set(val)), "val": sorted(val)} for val in held_out]}


def require_whole_patients(splits: Mapping, patients: Mapping[str, str], path: str | Path) -> None:
    """Raise InputError if a fold of ``splits``, read from ``path``, has a patient in both train and val."""
    for number, fold in enumerate(splits["folds"]):
        trained = {patients[name]: name for name in fold["train"] if name in patients}
        for name in fold["val"]:
            if patients.get(name) in trained:
                raise InputError(
                    path,
                    expected="folds that keep each patient's cases together",
                    found=f"fold {number} trains on {trained[patients[name]]} and validates on {name}, one patient",
                    remedy="Move one of them, or delete the file, so that new folds are made",
                )


def tumour_volumes(
    cases: Sequence[Case], merge: Mapping[int, int] | None = None, *, workers: int = 1
) -> dict[str, float]:
    """Measure the tumour volume (label 2) in the mask of every case.

    Args:
        cases: cases, all with masks, which are read with the ``merge`` of their data sets.
        merge: the recipe's ``merge``.
        workers: number of processes.

    Returns:
        Case -> ml.

    Raises:
        InputError: a mask cannot be read.
    """
    names = [case.name for case in cases]
    volume = partial(_tumour_volume, merge=merge)
    return dict(zip(names, run_cases(volume, cases, names, workers=workers, title="tumour volumes")))


def save_splits(splits: dict, path: str | Path) -> None:
    """Write ``splits`` as JSON, atomically; the folder is created."""
    write_text(path, json.dumps(splits, indent=1) + "\n")


def load_splits(path: str | Path) -> dict:
    """Read the result of :func:`make_splits`, or a file written by hand, which may have no seed.

    Raises:
        InputError: no such file, not JSON of this form, or a case in both train and val of a fold.
    """
    path = Path(path)
    content = read_json(
        path,
        object,
        expected="the folds of prepared data",
        remedy="Make it again with `kidneyseg cohort split`",
        absent="Run `kidneyseg prepare` with this --work first, or `kidneyseg cohort split`",
    )
    splits = content if isinstance(content, dict) else {}
    fault = _fault(splits)
    if fault:
        raise InputError(
            path,
            expected='{"folds": [{"train": [names], "val": [names]}, ...]}',
            found=fault,
            remedy="Make it again with `kidneyseg cohort split`",
        )
    return splits


def split_names(splits: Mapping) -> list[str]:
    """List all cases in ``splits``, sorted."""
    return sorted({name for fold in splits["folds"] for part in ("train", "val") for name in fold[part]})


def is_generated(splits: Mapping) -> bool:
    """Tell whether ``splits`` may come from :func:`make_splits`; otherwise it was written by hand."""
    names = split_names(splits)
    held_out = sorted(name for fold in splits["folds"] for name in fold["val"])
    return (
        splits.get("seed") is not None
        and held_out == names
        and all(sorted(fold["train"] + fold["val"]) == names for fold in splits["folds"])
    )


def fold_cases(work: str | Path, fold: int) -> dict[str, list[str]]:
    """Return {"train": names, "val": names} of one fold of ``work``/splits.json.

    Raises:
        InputError: as for :func:`load_splits`, or there is no such fold.
    """
    path = Path(work) / "splits.json"
    folds = load_splits(path)["folds"]
    if not 0 <= fold < len(folds):
        raise InputError(
            f"fold {fold}",
            expected=f"0 to {len(folds) - 1}",
            found=f"{len(folds)} folds in {path}",
            remedy="Name one of these folds",
        )
    return {part: list(folds[fold][part]) for part in ("train", "val")}


def _fault(splits: dict) -> str | None:
    folds = splits.get("folds")
    if not isinstance(folds, list) or not folds:
        return "no list of folds"
    for number, fold in enumerate(folds):
        parts = [fold.get(part, ()) if isinstance(fold, dict) else () for part in ("train", "val")]
        if not all(isinstance(part, list) and part and all(isinstance(name, str) for name in part) for part in parts):
            return f"fold {number} without case names in train and val"
        both = sorted(set(parts[0]) & set(parts[1]))
        if both:
            return f"{both[0]} in train and val of fold {number}"
    seed = splits.get("seed")
    if seed is not None and not (isinstance(seed, int) and seed >= 0):
        return f"seed {seed!r}"
    return None


def _tumour_volume(case: Case, merge: Mapping[int, int] | None) -> float:
    mask = read_mask(case.true_mask_path(), case.reading(merge or {}))
    return float(np.count_nonzero(mask.array == TUMOUR) * mask.voxel_ml)
