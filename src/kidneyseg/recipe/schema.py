"""The recipe: everything that makes one segmentation system, as typed data.

A recipe is an ordered list of stages and a final post-process. A stage takes a region of the scan, brings it to an
intensity range and a grid, runs a network, and yields a mask on the scan's own grid. Validated on load,
unknown keys refused. Axis order is (z, y, x), lengths are mm, intensities HU.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from kidneyseg.errors import InputError, nearest

Triple = tuple[float, float, float]
Size3 = tuple[int, int, int]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Region(_Model):
    """Where a stage looks: the whole scan, or the kidney ROIs of an earlier stage.

    ROIs follow the CCF BDCI 2022 third-prize solution: per axis, the coordinates where the mask has any voxel are
    split wherever neighbours are more than ``gap`` apart, and each piece keeps ``margin`` voxels on both sides; both
    count voxels of the earlier stage's grid.
    """

    of: str | None = None
    body: bool = Field(True, description="crop the black border around the patient (whole scan only)")
    gap: int = Field(15, ge=1)
    margin: int = Field(3, ge=0)


class Intensity(_Model):
    """HU clipped to ``clip`` and mapped linearly to uint8 0-255; networks see ``(uint8 - mean) / std``."""

    clip: tuple[float, float] = (-79, 304)
    mean: float = 119.84
    std: float = Field(103.80, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Intensity:
        if self.clip[0] >= self.clip[1]:
            raise ValueError("clip must be [low, high] with low < high")
        return self


class Volumes(_Model):
    """A 3-D stage: resample to ``spacing`` mm, cut patches of ``patch`` voxels at every ``stride`` voxels."""

    spacing: Triple = (3.22, 1.62, 1.62)
    patch: Size3 = (80, 160, 160)
    stride: Size3 = (48, 44, 44)

    @model_validator(mode="after")
    def _covering(self) -> Volumes:
        fits = all(0 < s <= p for s, p in zip(self.stride, self.patch))
        if min(self.spacing) <= 0 or min(self.patch) < 1 or not fits:
            raise ValueError("spacing and patch must be positive, and 0 < stride <= patch on every axis")
        return self


class Slices(_Model):
    """A 2-D stage: every axial slice of the region, at the scan's own slice spacing, resized to ``size`` (y, x)."""

    size: tuple[int, int] = (256, 256)

    @model_validator(mode="after")
    def _positive(self) -> Slices:
        if min(self.size) < 1:
            raise ValueError("size must be positive")
        return self


def _kind(value: Any) -> str:
    """Slices have a `size`; whatever else is written is meant as volumes."""
    return "Slices" if isinstance(value, Slices) or isinstance(value, dict) and "size" in value else "Volumes"


Sampling = Annotated[Annotated[Volumes, Tag("Volumes")] | Annotated[Slices, Tag("Slices")], Discriminator(_kind)]


class Network(_Model):
    """``width``: channels of the first level; ``depth``: resolution levels. Names: ``kidneyseg.nets.NETWORKS``."""

    name: str
    width: int = Field(32, ge=1)
    depth: int = Field(4, ge=2, le=7)
    norm: Literal["batch", "instance"] = "batch"
    deep_supervision: bool = False


class Loss(_Model):
    """``regions``: the class sets whose Dice counts (class k is the k-th of the stage's targets); default each class.

    ``batch``: Dice of the whole batch instead of the mean over its samples. ``gamma`` belongs to Hybrid-Dice.
    """

    name: str
    regions: tuple[tuple[int, ...], ...] | None = None
    batch: bool = True
    gamma: float = Field(1.0, gt=0)


class Augment(_Model):
    """Random changes of training samples; 0 turns one off. Geometry is shared by image and mask.

    flip: probability per in-plane axis; rotate: degrees in plane; scale, brightness, contrast, gamma: relative
    half-range (0.1 draws from 0.9-1.1; brightness in standard deviations); noise: standard deviations; blur: sigma
    in voxels; shift: fraction of the in-plane size; probability: chance that each of them is applied to a sample.
    """

    flip: float = Field(0.5, ge=0, le=1)
    rotate: float = Field(10, ge=0, le=180)
    scale: float = Field(0.1, ge=0, lt=1)
    shift: float = Field(0.05, ge=0, lt=1)
    brightness: float = Field(0.1, ge=0)
    contrast: float = Field(0.1, ge=0, lt=1)
    gamma: float = Field(0.1, ge=0, lt=1)
    noise: float = Field(0.05, ge=0)
    blur: float = Field(0.0, ge=0)
    probability: float = Field(0.5, ge=0, le=1)


class Sampler(_Model):
    """Which prepared samples an epoch holds.

    foreground: share of an epoch's samples that contain a target; None takes the samples as they come.
    per_epoch: samples in one epoch; None takes every sample once.
    """

    foreground: float | None = Field(None, ge=0, le=1)
    per_epoch: int | None = Field(None, ge=1)


class Schedule(_Model):
    """Learning rate: linear ``start`` -> ``peak`` over ``warmup`` steps, then cosine to ``end`` at the last step."""

    start: float = Field(3e-4, gt=0)
    peak: float = Field(1e-3, gt=0)
    end: float = Field(1e-5, ge=0)
    warmup: int = Field(1500, ge=0)


class Train(_Model):
    """``batch_size`` is per device. ``validate_every`` counts epochs, ``checkpoint_every`` steps (0: only epochs)."""

    epochs: int = Field(90, ge=1)
    batch_size: int = Field(4, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    schedule: Schedule = Schedule()
    clip_norm: float = Field(1.0, ge=0)
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    sampler: Sampler = Sampler()
    augment: Augment = Augment()
    validate_every: int = Field(1, ge=1)
    checkpoint_every: int = Field(200, ge=0)
    seed: int = Field(2022, ge=0)


class Inference(_Model):
    """``overlap``: share of neighbouring sliding windows (3-D stages); ``batch_size``: windows or slices at a time."""

    overlap: float = Field(0.5, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)


class Component(_Model):
    """A clean-up of the union of ``labels`` in a mask: fill its holes, drop small 26-connected components.

    min_fraction: share of the largest component below which one is dropped; min_ml: volume below which it is.
    Voxels gained by filling get the first label of ``labels``.
    """

    labels: tuple[int, ...]
    fill_holes: bool = False
    min_fraction: float = Field(0.0, ge=0, le=1)
    min_ml: float = Field(0.0, ge=0)


class Stage(_Model):
    """One network and all around it. ``targets[k]`` are the labels that make class ``k + 1``; the rest is background.

    The label written for a class is the first of its target.
    """

    name: str
    region: Region = Region()
    intensity: Intensity = Intensity()
    sampling: Sampling
    targets: tuple[tuple[int, ...], ...]
    network: Network
    loss: Loss
    train: Train = Train()
    inference: Inference = Inference()
    components: tuple[Component, ...] = ()

    @model_validator(mode="after")
    def _fitting(self) -> Stage:
        for region in self.loss.regions or ():
            if not region or min(region) < 1 or max(region) >= self.classes:
                raise ValueError(f"loss.regions {list(region)} must name classes 1-{self.classes - 1}, one per target")
        size = self.sampling.patch if self.dims == 3 else self.sampling.size
        factor = 2 ** (self.network.depth - 1)
        if any(n % factor for n in size):
            depth = self.network.depth
            raise ValueError(f"a network of depth {depth} halves its input {depth - 1} times: "
                             f"patch or size {list(size)} must be multiples of {factor}")
        return self

    @property
    def classes(self) -> int:
        return len(self.targets) + 1

    @property
    def dims(self) -> int:
        """3 when the network sees volumes, 2 when it sees slices."""
        return 3 if isinstance(self.sampling, Volumes) else 2


class Recipe(_Model):
    """A whole system. ``labels`` names the mask's labels; the last stage's mask, cleaned, is the result.

    ``merge``: labels of the cohort's masks that are read as another, in training and in scoring; {3: 1} reads the
    cysts of KiTS21/23 as kidney, as KiTS19 has them.
    """

    name: str
    description: str = ""
    labels: dict[str, int] = {"kidney": 1, "tumour": 2}
    merge: dict[Annotated[int, Field(ge=1, le=255)], int] = {}
    stages: tuple[Stage, ...]
    components: tuple[Component, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        named = set(self.labels.values())
        for label, other in self.merge.items():
            if label in named or other not in named:
                raise ValueError(f"merge {{{label}: {other}}} must read a label that `labels` does not name "
                                 "as one that it does")
        known: list[str] = []
        for stage in self.stages:
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name!r}")
            if stage.region.of is not None and stage.region.of not in known:
                raise ValueError(f"stage {stage.name!r} looks at ROIs of {stage.region.of!r}, "
                                 "which is not an earlier stage")
            unknown = {label for group in stage.targets for label in group} - named
            if unknown:
                raise ValueError(f"stage {stage.name!r} targets labels {sorted(unknown)}, which `labels` does not name")
            known.append(stage.name)
        if not known:
            raise ValueError("a recipe needs at least one stage")
        return self

    def stage(self, name: str) -> Stage:
        """The stage called ``name``. Raises InputError naming the stages there are."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [s.name for s in self.stages]
        raise InputError(
            f"stage {name!r}", expected=f"one of {', '.join(names)}", found=f"no such stage in recipe {self.name!r}",
            remedy=nearest(name, names) or "Name one of the recipe's stages",
        )
