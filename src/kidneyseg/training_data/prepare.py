"""Conversion of a data set to MindRecord: each case in its own process, within a memory budget, written atomically."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.preprocessing.stage_view import true_views
from kidneyseg.recipe import Recipe
from kidneyseg.system.digest import sha256
from kidneyseg.system.failures import explain
from kidneyseg.system.worker_pool import require_all, require_workers, run_within
from kidneyseg.training_data.memory_estimate import preparing_bytes
from kidneyseg.training_data.prepared_case import (
    PreparedCase,
    PreparedStage,
    Source,
    case_folder,
    label_reading,
    recipe_settings,
    record_file,
)
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.nifti import merge_labels, read_image, read_mask

MEMORY_BUDGET = 11 << 29  # 5.5 GiB for all workers; with this process the total is below 6 GiB


@dataclass(frozen=True)
class Summary:
    """Result of :func:`prepare`.

    Attributes:
        prepared: names of new cases.
        rebuilt: names of cases that were prepared again, because the settings or the files have changed.
        skipped: names of cases that were already prepared.
        samples: stage name -> rows of all cases.
        bytes: size of all record files.
        seconds: wall-clock time.
    """

    prepared: list[str]
    rebuilt: list[str]
    skipped: list[str]
    samples: dict[str, int]
    bytes: int
    seconds: float


def prepare(
    recipe: Recipe, cases: Sequence[Case], work: str | Path, *, workers: int = 2, memory: int = MEMORY_BUDGET
) -> Summary:
    """Write the training samples of every stage of ``recipe`` for ``cases`` to ``work``/prepared/<case>/.

    Cases that were prepared with the same settings from the same files are skipped. Files are the same if name, size
    and modification time are the same, or the content, in whatever folder they are. The folder of a case is either
    complete or missing; incomplete folders of a killed run are deleted by the next run.

    Args:
        recipe: the recipe.
        cases: cases with masks.
        work: folder to write to.
        workers: maximum number of processes; with large scans fewer run at a time.
        memory: memory budget of all processes together, bytes.

    Raises:
        InputError: cases failed (all failed cases are listed, the others are prepared), a case has no label, or another
            process prepares the same folder.
    """
    require_workers(workers)
    check_names(cases)
    began = time.monotonic()
    folder = Path(work) / "prepared"
    with _only_one(folder):
        _sweep(folder)
        states = {case.name: _state(case, recipe, work) for case in cases}
        todo = [case for case in cases if states[case.name] != "done"]
        rebuilt = [case.name for case in todo if states[case.name] == "stale"]
        if rebuilt:
            tqdm.write(f"{len(rebuilt)} cases were prepared with other settings or files and are prepared again")
        _prepare_all(recipe, todo, work, workers, memory)
    done = [PreparedCase.read(case_folder(work, case.name)) for case in cases]
    files = [file for case in done for file in case_folder(work, case.case).glob("*.mindrecord*")]
    return Summary(
        prepared=[case.name for case in todo if states[case.name] == "new"],
        rebuilt=rebuilt,
        skipped=[case.name for case in cases if states[case.name] == "done"],
        samples={stage.name: sum(len(case.stages[stage.name].foreground) for case in done) for stage in recipe.stages},
        bytes=sum(file.stat().st_size for file in files),
        seconds=time.monotonic() - began,
    )


def prepare_case(case: Case, recipe: Recipe, work: str | Path) -> list[str]:
    """Write the records of one case; its folder is replaced after all records are written.

    Returns:
        Warnings about implausible values in its files.

    Raises:
        InputError: scan or label cannot be read, they do not belong together, or the label has values without a name.
    """
    from kidneyseg.training_data.mindrecord import (  # imports MindSpore, which only workers need
        record_digests,
        write_records,
    )

    target = case_folder(work, case.name)
    partial_folder = target.with_name(f".{case.name}.{os.getpid()}")
    partial_folder.mkdir(parents=True)
    try:
        sources = _source(case.image), _source(case.true_mask_path())
        scan, label = read_image(case.image), read_mask(case.true_mask_path())
        label.require_on(scan)
        labels = np.unique(label.array[label.array > 0]).tolist()
        _check_labels(label.path, labels, recipe, case.reading(recipe.merge))
        classes = merge_labels(label.array, case.reading(recipe.merge))
        stages = {}
        for view in true_views(scan, classes, recipe):
            stage = view.stage
            grids, samples = stage_samples(view, classes, case.uncertain(recipe.merge))
            records = record_file(partial_folder, case.name, stage.name)
            foreground = write_records(records, case.name, samples)
            stages[stage.name] = PreparedStage(foreground, [grid.to_dict() for grid in grids], record_digests(records))
        PreparedCase(
            case=case.name,
            image=sources[0],
            label=sources[1],
            shape=list(scan.array.shape),
            spacing=list(scan.spacing),
            labels=labels,
            settings=recipe_settings(recipe),
            stages=stages,
            dataset=case.dataset_name,
            patient=case.patient,
            reading=label_reading(case, recipe),
        ).write(partial_folder)
        _publish(partial_folder, target)
        return [str(doubt) for doubt in (*scan.doubts, *label.doubts)]
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)


def _prepare_all(recipe: Recipe, cases: Sequence[Case], work: str | Path, workers: int, memory: int) -> None:
    """Prepare ``cases`` in processes; raise one InputError that lists all failed cases, whatever the errors were."""
    if not cases:
        return
    failures: dict[str, InputError] = {}
    costs = [preparing_bytes(case, recipe, unknown=memory) for case in cases]
    work_on = partial(prepare_case, recipe=recipe, work=work)
    with tqdm(total=len(cases), desc="prepare", unit="case", disable=None) as bar:
        for index, outcome in run_within(work_on, cases, costs, budget=memory, workers=min(workers, len(cases))):
            bar.update()
            if isinstance(outcome, Exception):
                failures[cases[index].name] = explain(cases[index].name, outcome)
            else:
                for doubt in outcome:
                    tqdm.write(f"warning: {doubt}", file=sys.stderr)
    require_all(failures, len(cases))


def check_names(cases: Sequence[Case]) -> None:
    """Raise InputError if two scans have the same name."""
    seen: dict[str, Case] = {}
    for case in cases:
        if case.name in seen:
            raise InputError(
                case.image,
                expected="one scan per case name",
                remedy="Rename one of them",
                found=f"{seen[case.name].image} is called {case.name!r} too",
            )
        seen[case.name] = case


def _check_labels(path: Path, labels: Sequence[int], recipe: Recipe, reading: Mapping[int, int]) -> None:
    unknown = sorted(set(labels) - {*recipe.labels.values(), *reading})
    if unknown:
        named = ", ".join(f"{name} {value}" for name, value in recipe.labels.items())
        raise InputError(
            path,
            expected=f"the recipe's labels ({named})",
            found=f"also {unknown}",
            remedy="Name them in the recipe's `labels` and its stages' `targets`, or in its or the data set's `merge`",
        )


def _source(path: Path, digest: str | None = None) -> Source:
    stat = path.stat()
    return {
        "path": str(path.resolve()),
        "bytes": stat.st_size,
        "modified": stat.st_mtime_ns,
        "sha256": digest or sha256(path),
    }


def _is_from(path: Path, source: Source) -> bool:
    """Tell whether ``path`` has the content recorded in ``source``, whatever its folder is."""
    stat = path.stat()
    if (path.name, stat.st_size, stat.st_mtime_ns) == (Path(source["path"]).name, source["bytes"], source["modified"]):
        return True
    return stat.st_size == source["bytes"] and source.get("sha256") == sha256(path)


def _state(case: Case, recipe: Recipe, work: str | Path) -> str:
    """Return "new", "done", or "stale" if settings or files have changed since the preparation."""
    label = case.true_mask_path()
    folder = case_folder(work, case.name)
    if not folder.is_dir():
        return "new"
    try:
        made = PreparedCase.read(folder)
        same = (made.settings, made.reading, made.patient) == (
            recipe_settings(recipe),
            label_reading(case, recipe),
            case.patient,
        )
        if not (same and _is_from(case.image, made.image) and _is_from(label, made.label)):
            return "stale"
    except (InputError, OSError, KeyError):
        return "stale"
    _note_move(case, made, folder)
    return "done"


def _note_move(case: Case, made: PreparedCase, folder: Path) -> None:
    """Write the current paths of the files to ``case.json``."""
    image = _source(case.image, made.image.get("sha256"))
    label = _source(case.true_mask_path(), made.label.get("sha256"))
    if (image, label) != (made.image, made.label):
        replace(made, image=image, label=label).write(folder)


def _publish(partial_folder: Path, target: Path) -> None:
    """Move a complete folder to its final path and delete the folder that was there."""
    if target.exists():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        partial_folder.rename(target)
        shutil.rmtree(old)
    else:
        partial_folder.rename(target)


def _sweep(folder: Path) -> None:
    """Delete the incomplete folders of killed runs, which are hidden."""
    for leftover in folder.glob(".*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Create ``folder`` and hold its lock; the operating system releases the lock when this process ends."""
    created = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                folder,
                expected="no other `kidneyseg prepare` running in this folder",
                found="one that is running",
                remedy="Wait until it is finished, or give another --work",
            ) from None
        try:
            yield
        finally:
            if created and [file.name for file in folder.iterdir()] == [".lock"]:  # no case could be prepared
                (folder / ".lock").unlink()
                for place in created:
                    place.rmdir()
