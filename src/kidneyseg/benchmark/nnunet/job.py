"""What one process is asked for and answers, as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobCase:
    """One case; ``merge``: pairs as of :func:`kidneyseg.volume.nifti.read_mask`."""

    name: str
    image: str
    label: str
    merge: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Job:
    """Train on the cases of ``train``, then predict those of ``val`` into ``folder``/predictions/.

    Attributes:
        minutes: of training, without what comes before and after it.
        width, patch_voxels: as of `network.build` and `plan.make_plan`.
        mirror: as of `prediction.segment`.
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
    """What a `Job` has led to.

    Attributes:
        plan, intensity: fields of `plan.Plan` and `images.Intensity`.
        labels: of the network's classes.
        setting: what computes fastest; step_seconds: a training step with every setting.
        losses: of every training step.
        seconds: of every predicted case, by its name.
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
