"""The recipe: everything that defines one segmentation system, as typed data.

A recipe is an ordered list of stages and a final post-processing. A stage crops a region of the scan, normalises its
intensities, resamples it, runs a network and returns a mask on the scan's grid. Recipes are validated when they are
loaded; unknown keys are refused. Axis order is (z, y, x), lengths are mm, intensities HU.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from kidneyseg.errors import InputError, did_you_mean
from kidneyseg.recipe.base import RecipePart, Size3
from kidneyseg.recipe.sampling import Region, Sampling, SliceSampling, VolumeSampling, WholeSampling
from kidneyseg.recipe.training import Axes, Loss, Train

Label = Annotated[int, Field(ge=1, le=255)]
"""A label in a mask. Masks are uint8; 0 is the background."""


class Intensity(RecipePart):
    """Intensity normalisation: HU are clipped and mapped linearly to uint8 0-255, then to ``(uint8 - mean) / std``.

    clip: range in HU as [low, high], or as a window, for example {centre: 50, width: 400}.
    mean: subtracted from the 8-bit image before the network.
    std: the 8-bit image is divided by it after ``mean`` is subtracted.
    per_volume: use the mean and standard deviation of each volume or slice that the network gets instead of the two
        numbers above.
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
    """The network and its size.

    The keys after ``depth`` are for the networks that support them.

    name: one of ``kidneyseg.nets.NETWORKS``.
    width: channels of the first level.
    depth: resolution levels.
    norm: normalisation layer.
    deep_supervision: train side outputs of the decoder too (unet3plus, unetpp, resunet3d).
    residual: residual units in the levels (unet3d).
    attention: attention gates on the skip connections (unet3d).
    pretrained: file of PyTorch weights for the encoder.
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
    """How a stage runs its network over a region in inference.

    patch: size of the sliding window in voxels, only for a stage with ``sampling.spacing``; None: as in training,
        ``sampling.patch``. With a larger window a scan needs less time and more memory, because a smaller part of it is
        computed more than once.
    overlap: fraction of a sliding window that its neighbour covers too (3-D stages).
    batch_size: windows or slices per call of the network.
    merge: how the predictions of overlapping windows are combined. gaussian: their Gaussian-weighted mean. centre: the
        mean of the windows that have the voxel in their middle half along every axis with several windows; the middle
        half of the first and of the last window of an axis is extended to the border of the region. A voxel in the
        middle half of no window (possible with an overlap below 0.5) gets the mean of all windows that contain it.
    mirrors: test-time augmentation: the network also gets its input mirrored along these axes, for example ["z"] or
        ["y", "x", "yx"], and its predictions are mirrored back and averaged. In a stack of slices "z" reverses the
        order of the slices; the middle slice stays in the middle.
    """

    patch: Size3 | None = None
    overlap: float = Field(0.5, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)
    merge: Literal["gaussian", "centre"] = "gaussian"
    mirrors: tuple[Axes, ...] = ()


class Component(RecipePart):
    """Clean-up of a mask: fill holes and remove small 26-connected components.

    labels: labels whose union is cleaned; filled voxels get the first one.
    fill_holes: fill holes.
    min_fraction: remove components that are smaller than this fraction of the largest one.
    min_ml: remove components of less than this volume, ml.
    min_voxels: remove components of fewer voxels of the mask's grid.
    largest: keep only this number of the largest components; 0: all.
    """

    labels: Annotated[tuple[Label, ...], Field(min_length=1)]
    fill_holes: bool = False
    min_fraction: float = Field(0.0, ge=0, le=1)
    min_ml: float = Field(0.0, ge=0)
    min_voxels: int = Field(0, ge=0)
    largest: int = Field(0, ge=0)


class Stage(RecipePart):
    """One network with its input, its training and its inference.

    name: name of the stage; its folder is ``STAGE/``.
    region: the part of the scan that the stage segments.
    intensity: HU window and normalisation.
    sampling: grid of the network's input; the keys decide which of the four kinds it is.
    targets: entry k, counted from 1, lists the labels that make class k; all else is background, class 0. The first
        label of an entry is written to the mask.
    network: network and its size.
    loss: training loss.
    train: training settings.
    inference: inference settings.
    components: clean-up of the stage's mask.
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
        """Refuse keys that have no effect on this stage's inference."""
        spec, default = self.inference, Inference()
        if spec.patch and not isinstance(self.sampling, VolumeSampling):
            raise ValueError("inference.patch is only for stages with a spacing and a patch: leave it out")
        if isinstance(self.sampling, SliceSampling | WholeSampling) and (spec.overlap, spec.merge) != (
            default.overlap,
            default.merge,
        ):
            raise ValueError(
                "inference.overlap and merge are for sliding windows; a stage of slices or whole regions "
                "has none: leave them out"
            )
        axes = "".join(spec.mirrors)
        if "" in spec.mirrors or len(set(spec.mirrors)) < len(spec.mirrors):
            raise ValueError(f"inference.mirrors {list(spec.mirrors)}: each entry must name other axes")
        if "z" in axes and self.dims == 2 and self.channels == 1:
            raise ValueError("inference.mirrors: single slices have no z axis to mirror")

    def _check_training(self) -> None:
        """Refuse keys that have no effect on this stage's training."""
        augment, side = self.train.augment, self.loss.side
        if "z" in augment.flip_axes and self.dims == 2 and self.channels == 1:
            raise ValueError("train.augment.flip_axes: single slices have no z axis to mirror")
        if not set(augment.lesion.classes) <= set(range(1, self.classes)):
            raise ValueError(
                f"train.augment.lesion.classes {list(augment.lesion.classes)} must name classes "
                f"1-{self.classes - 1}, one per target"
            )
        if side != type(side)() and not self.network.deep_supervision:
            raise ValueError("loss.side has an effect only on a network with deep_supervision: true")

    @property
    def classes(self) -> int:
        """Number of classes, the background included."""
        return len(self.targets) + 1

    @property
    def class_labels(self) -> tuple[int, ...]:
        """The label written for each class, starting with the background."""
        return (0, *(target[0] for target in self.targets))

    @property
    def window(self) -> tuple[int, ...]:
        """Spatial shape of the network's input in inference and in exported graphs."""
        return self.inference.patch or self.sampling.window

    @property
    def dims(self) -> int:
        """3 if the network's input is a volume, 2 if it is a slice."""
        return len(self.sampling.window)

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return self.sampling.stack if isinstance(self.sampling, SliceSampling) else 1


class Recipe(RecipePart):
    """A whole segmentation system.

    name: name of the system.
    description: one line for reports.
    labels: names of the labels in the mask and their numbers.
    merge: labels of the data set's masks that are read as another label, in training and in evaluation. {3: 1} reads
        the cysts of KiTS21/23 as kidney, as in KiTS19.
    stages: the stages, in the order in which they run.
    result: the stages whose masks form the result. Each mask is written over those before it, then ``components``
        cleans the whole mask. Default: only the last stage.
    components: clean-up of the final mask.
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
                raise ValueError(f"merge {{{label}: {other}}} must map a label that is not in `labels` to one that is")
        known: list[str] = []
        for stage in self.stages:
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name!r}")
            if stage.region.of is not None and stage.region.of not in known:
                raise ValueError(
                    f"stage {stage.name!r} uses the ROIs of {stage.region.of!r}, which is not an earlier stage"
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
        """Names of the stages whose masks form the result, each written over those before it."""
        return self.result or (self.stages[-1].name,)

    def stage(self, name: str) -> Stage:
        """Return the stage called ``name``.

        Raises:
            InputError: there is no such stage; the message lists the recipe's stages.
        """
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
