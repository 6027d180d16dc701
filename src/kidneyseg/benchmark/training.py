"""``kidneyseg benchmark train``: nnU-Net's method on a fold of WORK, in its own process, scored by this project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kidneyseg.benchmark.nnunet.job import Answer, Job, JobCase
from kidneyseg.benchmark.worker_process import WorkerProcess
from kidneyseg.cohort.case import Case
from kidneyseg.cohort.folds import fold_cases
from kidneyseg.errors import InputError
from kidneyseg.metrics.mask_folder import score_masks
from kidneyseg.metrics.summary import FoldScores, score_fold
from kidneyseg.model_folder.folder import RECIPE
from kidneyseg.recipe import load_recipe
from kidneyseg.training_data.prepared_case import PreparedCase, case_folder, locate_cases
from kidneyseg.volume.nifti import read_mask

Cases = dict[str, list[Case]]  # by "train" and "val"


def find_volumes(work: Path, fold: int) -> tuple[Cases, list[str]]:
    """Find the cases of a fold that are volumes; single slices cannot be used with a 3-D network.

    Data sets with weight 0 are not used for training.

    Returns:
        The cases, and the names of the single slices.

    Raises:
        InputError: no such fold, a case has moved, or a part of the fold has no volumes.
    """
    names = fold_cases(work, fold)
    flat = [
        name
        for part in ("train", "val")
        for name in names[part]
        if min(PreparedCase.read(case_folder(work, name)).shape) == 1
    ]
    cases = {part: locate_cases(work, [name for name in names[part] if name not in flat]) for part in ("train", "val")}
    cases["train"] = [case for case in cases["train"] if case.dataset is None or case.dataset.weight > 0]
    for part, of_part in cases.items():
        if not of_part:
            raise InputError(
                f"fold {fold} of {work}",
                expected=f"volumes in its part {part!r}",
                found="none",
                remedy="Name another fold, or also prepare volumes",
            )
    return cases, flat


def make_job(
    work: Path, cases: Cases, folder: Path, minutes: float, width: int, patch_voxels: int, mirror: bool
) -> Job:
    """Make the job of the process; labels are read with the ``merge`` of the recipe in ``work`` and the data sets."""
    merge = load_recipe(work / RECIPE).merge
    of_parts = {
        part: tuple(
            JobCase(case.name, str(case.image), str(case.true_mask_path()), tuple(case.reading(merge).items()))
            for case in of_part
        )
        for part, of_part in cases.items()
    }
    return Job(**of_parts, folder=str(folder), minutes=minutes, width=width, patch_voxels=patch_voxels, mirror=mirror)


def run(job: Job) -> Answer:
    """Run ``job``; progress bars are printed to stderr. Raises InputError if it fails."""
    remedy = "See the lines above; if memory was full, give a smaller --width or --patch-voxels"
    module = "kidneyseg.benchmark.nnunet.worker"
    with WorkerProcess(module, asdict(job), "benchmark train", remedy, quiet=False) as worker:
        return Answer(**worker.answer())


def score(work: Path, cases: Sequence[Case], predictions: Path) -> FoldScores:
    """Score the masks in ``predictions``; true masks are read with the ``merge`` of recipe and data sets."""
    merge = load_recipe(work / RECIPE).merge
    return score_fold(
        [
            score_masks(
                case.name,
                read_mask(predictions / f"{case.name}.nii.gz"),
                read_mask(case.true_mask_path(), case.reading(merge)),
                case.uncertain(merge),
            )
            for case in cases
        ]
    )


def summary(answer: Answer, flat: Sequence[str]) -> str:
    """Format the results for the terminal."""
    plan, steps, tenth = answer.plan, len(answer.losses), max(1, len(answer.losses) // 10)
    lines = [
        f"left out, single slices: {len(flat)}" if flat else "",
        f"plan: voxels of {_sizes(plan['spacing'], '.2f')} mm, patches of {_sizes(plan['patch'], 'd')} of a median "
        f"case of {_sizes(plan['shape'], 'd')}, {len(plan['strides'])} levels, {answer.parameters} parameters",
        f"computed: {answer.setting}, {answer.threads} threads ("
        + "; ".join(f"{name} {seconds:.2f} s" for name, seconds in answer.step_seconds.items())
        + " a step)",
        f"training: {answer.part_seconds['train'] / 60:.1f} minutes, {answer.part_mib['train']:.0f} MiB, "
        f"{steps} steps, loss {np.mean(answer.losses[:tenth]):.3f} to {np.mean(answer.losses[-tenth:]):.3f}",
        f"prediction: {np.mean(list(answer.seconds.values())):.1f} s per case, {answer.part_mib['predict']:.0f} MiB",
    ]
    return "\n".join(filter(None, lines))


def _sizes(values: Sequence[float], form: str) -> str:
    return " x ".join(format(value, form) for value in values)
