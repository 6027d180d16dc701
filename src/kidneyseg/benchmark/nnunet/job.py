"""Job and answer of the process, as JSON types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobCase:
    """One case; ``merge`` has the pairs for :func:`kidneyseg.volume.nifti.read_mask`."""

    name: str
    image: str
    label: str
    merge: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Job:
    """Train on the cases of ``train``, then predict those of ``val`` into ``folder``/predictions/.

    Attributes:
        train, val: the cases.
        folder: folder for the results.
        minutes: training time, without the steps before and after the training.
        width: as for ``network.build``.
        patch_voxels: as for ``plan.make_plan``.
        mirror: as for ``prediction.segment``.
    """

    train: tuple[JobCase, ...]
    val: tuple[JobCase, ...]
    folder: str
    minutes: float
    width: int
    patch_voxels: int
    mirror: bool


@dataclass(frozen=True)
class Answer:
    """The results of a ``Job``.

    Attributes:
        plan, intensity: fields of ``plan.Plan`` and ``images.Intensity``.
        labels: label of each class of the network.
        setting: the fastest setting.
        step_seconds: setting -> time of a training step.
        threads: number of threads.
        parameters: number of parameters.
        losses: loss of every training step.
        seconds: predicted case -> time.
        part_seconds, part_mib: seconds and peak memory (MiB) of the parts "read", "choose", "train" and "predict".
    """

    plan: dict
    intensity: dict
    labels: list[int]
    setting: str
    step_seconds: dict[str, float]
    threads: int
    parameters: int
    losses: list[float]
    seconds: dict[str, float]
    part_seconds: dict[str, float]
    part_mib: dict[str, float]
