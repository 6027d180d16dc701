"""The recipe: everything that makes one segmentation system, as typed data.

A recipe is an ordered list of stages and a final post-process. A stage takes a region of the scan, brings it to an
intensity range and a grid, runs a network, and yields a mask on the scan's own grid. Validated on load,
unknown keys refused. Axis order is (z, y, x), lengths are mm, intensities HU.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from kidneyseg.errors import InputError, did_you_mean
from kidneyseg.recipe.base import RecipePart, Size3
from kidneyseg.recipe.sampling import Region, Sampling, SliceSampling, VolumeSampling, WholeSampling
from kidneyseg.recipe.training import Axes, Loss, Train

Label = Annotated[int, Field(ge=1, le=255)]
"""A label of masks, which are uint8; 0 is the background."""


class Intensity(RecipePart):
    """HU clipped to ``clip`` and mapped linearly to uint8 0-255; networks see ``(uint8 - mean) / std``.

    clip: [low, high] HU, or the same as a window {centre: 50, width: 400}.
    per_volume: mean and std are those of each volume or slice that the network sees, instead of the given ones.
    """

    clip: tuple[float, float] = (-79, 304)
    mean: float = 119.84
    std: float = Field(103.80, gt=0)
    per_volume: bool = False

    @field_validator("clip", mode="before")
    @classmethod
    def _window(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"centre", "width"}:
            centre, width = value["centre"], value["width"]
            if not all(isinstance(number, int | float) for number in (centre, width)):
                raise ValueError(f"centre {centre!r} and width {width!r} must be numbers of HU")
            return centre - width / 2, centre + width / 2
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Intensity:
        if self.clip[0] >= self.clip[1]:
            raise ValueError("clip must be [low, high] with low < high")
        return self


class Network(RecipePart):
    """``width``: channels of the first level; ``depth``: resolution levels. Names: ``kidneyseg.nets.NETWORKS``.

    The options below are for the networks that have them. pretrained: a file of PyTorch weights for the encoder.
    """

    name: str
    width: int = Field(32, ge=1)
    depth: int = Field(4, ge=2, le=7)
    norm: Literal["batch", "instance"] = "batch"
    deep_supervision: bool = False
    residual: bool = False
    attention: bool = False
    pretrained: str | None = None


class Inference(RecipePart):
    """``batch_size``: windows or slices at a time.

    patch: voxels of the sliding window of a stage that resamples to a spacing; None: the training's ``sampling.patch``.
    A larger one overlaps less of what it sees, so that the same scan takes less time and more memory.
    overlap: share of neighbouring sliding windows (3-D stages). merge: what a voxel takes from the windows that hold
    it: their Gaussian-weighted mean, or only what the windows say that have it in the middle half of every axis along
    which there are several (an axis's first window also keeps what lies before its middle, the last what lies behind).
    A voxel in no window's middle, which needs an overlap below 0.5, takes the mean of all that hold it.
    mirrors: the network also sees its input mirrored along these axes, ["z"] or ["y", "x", "yx"], and the mean of its
    answers, mirrored back, counts. For a stack of slices "z" is the order of the stack; its middle slice stays.
    """

    patch: Size3 | None = None
    overlap: float = Field(0.5, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)
    merge: Literal["gaussian", "centre"] = "gaussian"
    mirrors: tuple[Axes, ...] = ()


class Component(RecipePart):
    """A clean-up of the union of ``labels`` in a mask: fill its holes, drop small 26-connected components.

    min_fraction: share of the largest component below which one is dropped; min_ml, min_voxels: volume, in ml or in
    voxels of the mask's grid, below which it is; largest: only so many of the largest are kept (0: all).
    Voxels gained by filling get the first label of ``labels``.
    """

    labels: Annotated[tuple[Label, ...], Field(min_length=1)]
    fill_holes: bool = False
    min_fraction: float = Field(0.0, ge=0, le=1)
    min_ml: float = Field(0.0, ge=0)
    min_voxels: int = Field(0, ge=0)
    largest: int = Field(0, ge=0)


class Stage(RecipePart):
    """One network and all around it. ``targets[k]`` are the labels that make class ``k + 1``; the rest is background.

    The label written for a class is the first of its target.
    """

    name: str
    region: Region = Region()
    intensity: Intensity = Intensity()
    sampling: Sampling
    targets: tuple[tuple[Label, ...], ...]
    network: Network
    loss: Loss
    train: Train = Train()
    inference: Inference = Inference()
    components: tuple[Component, ...] = ()

    @model_validator(mode="after")
    def _fitting(self) -> Stage:
        if not self.targets or not all(self.targets):
            raise ValueError(
                f"targets {[list(labels) for labels in self.targets]} must hold at least one target, "
                "and each of them at least one label"
            )
        for region in self.loss.regions or ():
            if not region or min(region) < 1 or max(region) >= self.classes:
                raise ValueError(f"loss.regions {list(region)} must name classes 1-{self.classes - 1}, one per target")
        depth = self.network.depth
        factor = 2 ** (depth - 1)
        for window in (self.sampling.window, self.window):
            if any(n < 1 or n % factor for n in window):
                raise ValueError(
                    f"a network of depth {depth} halves its input {depth - 1} times: "
                    f"patch, shape or size {list(window)} must be multiples of {factor}"
                )
        labels = [label for target in self.targets for label in target]
        if len(set(labels)) < len(labels):
            raise ValueError(f"targets {[list(target) for target in self.targets]}: a label belongs to one class")
        weights = self.loss.weights
        if weights is not None and len(weights) != self.classes:
            raise ValueError(
                f"loss.weights {list(weights)} must have one for each of {self.classes} classes, the background's first"
            )
        self._check_inference()
        self._check_training()
        return self

    def _check_inference(self) -> None:
        """Refuse what inference would have to ignore."""
        spec, default = self.inference, Inference()
        if spec.patch and not isinstance(self.sampling, VolumeSampling):
            raise ValueError("inference.patch is of stages with a spacing and a patch: leave it out")
        if isinstance(self.sampling, SliceSampling | WholeSampling) and (spec.overlap, spec.merge) != (
            default.overlap,
            default.merge,
        ):
            raise ValueError(
                "inference.overlap and merge are of windows, which a stage of slices or whole regions "
                "has not: leave them out"
            )
        axes = "".join(spec.mirrors)
        if "" in spec.mirrors or len(set(spec.mirrors)) < len(spec.mirrors):
            raise ValueError(f"inference.mirrors {list(spec.mirrors)} must each name other axes")
        if "z" in axes and self.dims == 2 and self.channels == 1:
            raise ValueError("inference.mirrors: single slices have no z to mirror")

    def _check_training(self) -> None:
        """Refuse what training would have to ignore."""
        augment, side = self.train.augment, self.loss.side
        if "z" in augment.flip_axes and self.dims == 2 and self.channels == 1:
            raise ValueError("train.augment.flip_axes: single slices have no z to mirror")
        if not set(augment.lesion.classes) <= set(range(1, self.classes)):
            raise ValueError(
                f"train.augment.lesion.classes {list(augment.lesion.classes)} must be of classes "
                f"1-{self.classes - 1}, one per target"
            )
        if side != type(side)() and not self.network.deep_supervision:
            raise ValueError("loss.side weighs the side outputs of a network with deep_supervision: true")

    @property
    def classes(self) -> int:
        return len(self.targets) + 1

    @property
    def class_labels(self) -> tuple[int, ...]:
        """The label written for each class, the background's first."""
        return (0, *(target[0] for target in self.targets))

    @property
    def window(self) -> tuple[int, ...]:
        """Spatial shape of what the network sees in inference, and of exported graphs."""
        return self.inference.patch or self.sampling.window

    @property
    def dims(self) -> int:
        """3 when the network sees volumes, 2 when it sees slices."""
        return len(self.sampling.window)

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return self.sampling.stack if isinstance(self.sampling, SliceSampling) else 1


class Recipe(RecipePart):
    """A whole system. ``labels`` names the mask's labels.

    ``result``: the stages whose masks, each painted over those before it and the whole cleaned by ``components``, are
    the result; default the last stage alone.
    ``merge``: labels of the cohort's masks that are read as another, in training and in scoring; {3: 1} reads the
    cysts of KiTS21/23 as kidney, as KiTS19 has them.
    """

    name: str
    description: str = ""
    labels: dict[str, Label] = {"kidney": 1, "tumour": 2}
    merge: dict[Label, int] = {}
    stages: tuple[Stage, ...]
    result: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        named = set(self.labels.values())
        if len(named) < len(self.labels):
            raise ValueError(f"labels {self.labels}: two have the same number")
        components = [*self.components, *(one for stage in self.stages for one in stage.components)]
        cleaned = {label for one in components for label in one.labels} - named
        if cleaned:
            raise ValueError(f"components clean labels {sorted(cleaned)}, which `labels` does not name")
        for label, other in self.merge.items():
            if label in named or other not in named:
                raise ValueError(
                    f"merge {{{label}: {other}}} must read a label that `labels` does not name as one that it does"
                )
        known: list[str] = []
        for stage in self.stages:
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name!r}")
            if stage.region.of is not None and stage.region.of not in known:
                raise ValueError(
                    f"stage {stage.name!r} looks at ROIs of {stage.region.of!r}, which is not an earlier stage"
                )
            unknown = {label for group in stage.targets for label in group} - named
            if unknown:
                raise ValueError(f"stage {stage.name!r} targets labels {sorted(unknown)}, which `labels` does not name")
            strange = set(stage.train.sampler.labels) - named - set(self.merge)
            if strange:
                raise ValueError(
                    f"stage {stage.name!r}: train.sampler.labels {sorted(strange)} are neither in "
                    "`labels` nor in `merge`"
                )
            known.append(stage.name)
        if not known:
            raise ValueError("a recipe needs at least one stage")
        if set(self.result) - set(known):
            raise ValueError(f"result {list(self.result)} must name stages: {', '.join(known)}")
        return self

    @property
    def result_stages(self) -> tuple[str, ...]:
        """Names of the stages whose masks make the result, each laid over those before it."""
        return self.result or (self.stages[-1].name,)

    def stage(self, name: str) -> Stage:
        """The stage called ``name``. Raises InputError naming the stages there are."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [s.name for s in self.stages]
        raise InputError(
            f"stage {name!r}",
            expected=f"one of {', '.join(names)}",
            found=f"no such stage in recipe {self.name!r}",
            remedy=did_you_mean(name, names) or "Name one of the recipe's stages",
        )
