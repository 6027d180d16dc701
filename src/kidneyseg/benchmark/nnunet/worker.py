"""The process of ``kidneyseg benchmark train``: plans, trains and predicts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from kidneyseg.benchmark.nnunet import network as networks
from kidneyseg.benchmark.nnunet import speed
from kidneyseg.benchmark.nnunet.images import (
    Intensity,
    TrainingCase,
    make_case,
    resampled,
    resampled_classes,
    sample_foreground,
)
from kidneyseg.benchmark.nnunet.job import Answer, Job, JobCase
from kidneyseg.benchmark.nnunet.patches import Patches
from kidneyseg.benchmark.nnunet.plan import Plan, make_plan
from kidneyseg.benchmark.nnunet.prediction import segment
from kidneyseg.benchmark.nnunet.training import Step, train
from kidneyseg.benchmark.stopwatch import Stopwatch
from kidneyseg.benchmark.torch_setup import set_up_torch
from kidneyseg.benchmark.worker_process import serve
from kidneyseg.errors import InputError
from kidneyseg.system.files import atomic
from kidneyseg.volume.nifti import Scan, read_image, read_mask, write_mask

SEED = 0
TRIAL_SECONDS = 10  # per setting; at most a tenth of the training time


def main(job: Job) -> Answer:
    """Run the job. Raises InputError for cases that cannot be read or used."""
    set_up_torch()
    torch.manual_seed(SEED)
    watch, seconds = Stopwatch(), 60 * job.minutes
    with watch.part("read"):
        plan, intensity, labels = _study(job)
        cases = [_prepare(scan, mask, plan, intensity, labels) for scan, mask in _pairs(job.train, "prepare")]
    network = networks.build(plan, len(labels), job.width)
    loss = networks.build_loss(plan)
    with watch.part("choose"):
        setting, took = speed.fastest(
            network,
            lambda copied, how: Step(copied, loss, how),
            Patches(cases, plan.patch, SEED).batch(),
            min(TRIAL_SECONDS, seconds / 10),
        )
    with watch.part("train"):
        losses = train(Step(network, loss, setting), Patches(cases, plan.patch, SEED), seconds)
    with atomic(Path(job.folder) / "model.pt") as file:
        torch.save(
            {
                "weights": network.state_dict(),
                "plan": asdict(plan),
                "intensity": asdict(intensity),
                "labels": labels,
                "width": job.width,
            },
            file,
        )
    of_case: dict[str, float] = {}
    with watch.part("predict"):
        for case in tqdm(job.val, desc="predict", unit="case", disable=None):
            began = time.perf_counter()
            scan = read_image(case.image)
            mask = segment(network, setting, plan, intensity, labels, scan, job.mirror)
            write_mask(Path(job.folder) / "predictions" / f"{case.name}.nii.gz", mask, scan)
            of_case[case.name] = time.perf_counter() - began
    return Answer(
        asdict(plan),
        asdict(intensity),
        labels,
        str(setting),
        took,
        torch.get_num_threads(),
        sum(parameter.numel() for parameter in network.parameters()),
        [round(loss, 4) for loss in losses],
        of_case,
        watch.seconds,
        watch.peak_mib,
    )


def _study(job: Job) -> tuple[Plan, Intensity, list[int]]:
    """Compute plan, intensities and labels of the classes from all training cases.

    The held-out cases are read too, so that a bad one is reported before the training.
    """
    rng, spacings, shapes, hu, found = np.random.default_rng(SEED), [], [], [], {0}
    for scan, mask in _pairs(job.train, "read"):
        spacings.append(scan.spacing)
        shapes.append(scan.array.shape)
        hu.append(sample_foreground(scan.array, mask.array, rng))
        found |= set(np.unique(mask.array).tolist())
    if found == {0}:
        raise InputError(
            "benchmark train",
            expected="training masks with a kidney",
            found="empty ones",
            remedy="Check the labels of the data set, and the recipe's `merge`",
        )
    for _ in _pairs(job.val, "read held-out"):
        pass
    return make_plan(spacings, shapes, job.patch_voxels), Intensity.of(np.concatenate(hu)), sorted(found)


def _pairs(cases: Sequence[JobCase], title: str) -> Iterator[tuple[Scan, Scan]]:
    """Yield scan and mask of every case, one at a time."""
    for case in tqdm(cases, desc=title, unit="case", disable=None):
        scan, mask = read_image(case.image), read_mask(case.label, dict(case.merge))
        mask.require_on(scan)
        yield scan, mask


def _prepare(scan: Scan, mask: Scan, plan: Plan, intensity: Intensity, labels: Sequence[int]) -> TrainingCase:
    image = resampled(intensity.normalised(scan.array), scan.spacing, plan.spacing)
    classes = np.searchsorted(labels, mask.array).astype(np.uint8)
    return make_case(image, resampled_classes(classes, scan.spacing, plan.spacing), np.random.default_rng(SEED))


def _job(fields: dict) -> Job:
    return Job(**{**fields, **{part: tuple(JobCase(**case) for case in fields[part]) for part in ("train", "val")}})


if __name__ == "__main__":
    serve(lambda fields: [asdict(main(_job(fields)))])
