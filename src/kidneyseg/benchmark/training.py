"""`kidneyseg benchmark train`: nnU-Net's method on a fold of ours, in a process of its own, scored by our metrics."""

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
    """The cases of a fold that are volumes, and the names of those that are single slices, which a 3-D network can
    neither learn from nor be judged by. Data sets of weight 0 are not trained on.

    Raises:
        InputError: no such fold, a case has moved, or no volume is left in a part of the fold.
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
                remedy="Name another fold, or prepare volumes as well",
            )
    return cases, flat


def make_job(
    work: Path, cases: Cases, folder: Path, minutes: float, width: int, patch_voxels: int, mirror: bool
) -> Job:
    """What the peer's process is to do, labels read as the recipe of ``work`` does."""
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
    """Have ``job`` done; progress bars go to stderr. Raises InputError where it fails."""
    remedy = "The lines above say why; for want of memory, give a smaller --width or --patch-voxels"
    module = "kidneyseg.benchmark.nnunet.worker"
    with WorkerProcess(module, asdict(job), "benchmark train", remedy, quiet=False) as worker:
        return Answer(**worker.answer())


def score(work: Path, cases: Sequence[Case], predictions: Path) -> FoldScores:
    """Scores of the masks in ``predictions``; the truth is read as the recipe of ``work`` and the data sets say."""
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
    """What was done and what it took, for the terminal."""
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
