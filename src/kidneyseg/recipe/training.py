"""How a stage is trained: loss, augmentation, sampler, learning rate, optimiser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kidneyseg.recipe.base import RecipePart


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 < pair[0] <= pair[1]:
        raise ValueError(f"{list(pair)} must be [low, high], 0 < low <= high")
    return pair


def _positive(factor: float | tuple[float, float]) -> float | tuple[float, float]:
    if isinstance(factor, tuple):
        return _rising(factor)
    if not 0 <= factor < 1:
        raise ValueError(f"{factor} must be at least 0 and less than 1")
    return factor


Pair = Annotated[tuple[float, float], AfterValidator(_rising)]
Range = Annotated[float | tuple[float, float], AfterValidator(_positive)]
"""Range of a random factor: 0.1 means 0.9-1.1, [0.6, 1.5] means 0.6-1.5."""
Axes = Annotated[str, Field(pattern="^z?y?x?$")]
"""A subset of the axes, for example "yx"."""


class SideOutputs(RecipePart):
    """Loss weights of the side outputs of a network with deep supervision; the main output has weight 1.

    The k-th side output (k = 1 is the finest) has weight ``weight * falloff ** (k - 1)``. It is multiplied by ``decay``
    after every ``every`` epochs.

    weight: weight of the finest side output.
    falloff: factor from one side output to the next coarser one.
    decay: factor on all side outputs after every ``every`` epochs.
    every: epochs between two decays.
    """

    weight: float = Field(0.5, ge=0)
    falloff: float = Field(0.5, ge=0, le=1)
    decay: float = Field(1.0, ge=0, le=1)
    every: int = Field(15, ge=1)


class Loss(RecipePart):
    """The training loss.

    name: one of ``kidneyseg.losses.LOSSES``.
    regions: sets of classes whose Dice is averaged (class k is entry k of the stage's targets); default: each class.
    batch: compute the Dice over the whole batch instead of averaging it over the samples.
    weights: weight of each class, the background first, in the mean of the Dice, which then includes the background.
        Cross-entropy and focal loss are not weighted. Default: the plain mean over the regions, without the background.
    gamma: exponent of the logarithm in the Hybrid-Dice loss.
    focus: exponent of the focal loss.
    side: weights of the side outputs with deep supervision.
    """

    name: str
    regions: tuple[tuple[int, ...], ...] | None = None
    batch: bool = True
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    gamma: float = Field(1.0, gt=0)
    focus: float = Field(2.0, ge=0)
    side: SideOutputs = SideOutputs()


class Elastic(RecipePart):
    """Elastic deformation in plane: noise is blurred by ``sigma`` voxels and multiplied by ``magnitude``.

    As in MONAI's Rand3DElastic, the noise is blurred along z too: with (3, 5) and (100, 200) the displacement is 1-3
    voxels.

    probability: probability that a sample is deformed.
    sigma: range of the blur of the random displacements, voxels.
    magnitude: range of the factor on the blurred displacements.
    """

    probability: float = Field(0.0, ge=0, le=1)
    sigma: Pair = (3, 5)
    magnitude: Pair = (100, 200)


class Lesion(RecipePart):
    """Random intensity changes inside ``classes`` only, like those of :class:`Augment` for the whole image.

    classes: classes inside which the intensity changes.
    brightness: as in Augment.
    contrast: as in Augment.
    gamma: as in Augment.
    """

    classes: tuple[int, ...] = ()
    brightness: float = Field(0.0, ge=0)
    contrast: Range = 0.0
    gamma: Range = 0.0

    @model_validator(mode="after")
    def _somewhere(self) -> Lesion:
        if not self.classes and (self.brightness, self.contrast, self.gamma) != (0, 0, 0):
            raise ValueError("classes must name the classes inside which the intensity changes")
        return self


class Phases(RecipePart):
    """Simulation of other contrast phases: the probability of each phase. All other samples keep their phase.

    The new phase is computed from HU and the mask, see :mod:`kidneyseg.volume.contrast_phase`. All targets are treated
    as kidney.

    unenhanced: probability of an unenhanced phase.
    weak: probability of a weakly enhanced phase.
    corticomedullary: probability of a corticomedullary phase.
    nephrographic: probability of a nephrographic phase.
    """

    unenhanced: float = Field(0.0, ge=0, le=1)
    weak: float = Field(0.0, ge=0, le=1)
    corticomedullary: float = Field(0.0, ge=0, le=1)
    nephrographic: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _at_most_one(self) -> Phases:
        if sum(self.model_dump().values()) > 1 + 1e-9:
            raise ValueError("the phases' probabilities must not add up to more than 1")
        return self


class Saturation(RecipePart):
    """Clip HU at a random upper limit, as in data that were saved after clipping to a window.

    probability: probability that a sample is clipped.
    hu: range (low, high) from which the upper limit is drawn, HU.
    """

    probability: float = Field(0.0, ge=0, le=1)
    hu: Pair = (200, 304)


class Augment(RecipePart):
    """Random augmentation of training samples; 0 turns one off. Spatial changes apply to image and mask alike.

    flip: probability of a flip along each axis of ``flip_axes``.
    flip_axes: axes that may be flipped.
    rotate: largest rotation in plane, degrees; the angle is drawn uniformly from -rotate to +rotate.
    scale: range of the zoom factor.
    shift: largest shift as a fraction of the in-plane size; drawn uniformly from -shift to +shift.
    elastic: elastic deformation.
    brightness: largest value added to the normalised image; drawn uniformly from -brightness to +brightness.
    contrast: range of the contrast factor.
    gamma: range of the gamma exponent.
    phases: simulation of other contrast phases.
    saturation: clipping of high HU, as in data sets that were clipped to a window.
    lesion: intensity changes inside lesions.
    equalise: probability of histogram equalisation.
    noise: largest standard deviation of the noise added to the normalised image; drawn uniformly from 0.
    blur: largest sigma of the in-plane blur, voxels; drawn uniformly from 0.
    clip: clip the augmented image to the range of the HU window.
    mixup: alpha of the Beta distribution with which the samples of a batch are blended.
    probability: probability of each augmentation that has none of its own. Those with their own are flip, elastic,
        phases, saturation and equalise.
    """

    flip: float = Field(0.5, ge=0, le=1)
    flip_axes: Axes = "yx"
    rotate: float = Field(10, ge=0, le=180)
    scale: Range = 0.1
    shift: float = Field(0.05, ge=0, lt=1)
    elastic: Elastic = Elastic()
    brightness: float = Field(0.1, ge=0)
    contrast: Range = 0.1
    gamma: Range = 0.1
    phases: Phases = Phases()
    saturation: Saturation = Saturation()
    lesion: Lesion = Lesion()
    equalise: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.05, ge=0)
    blur: float = Field(0.0, ge=0)
    clip: bool = False
    mixup: float = Field(0.0, ge=0)
    probability: float = Field(0.5, ge=0, le=1)


class Sampler(RecipePart):
    """Choice of the prepared samples of an epoch.

    foreground: fraction of the samples, apart from those of ``mine``, that contain a target; None: no such rule.
    per_epoch: samples in one epoch; None: the number of prepared samples. Then each is drawn once, unless another key
        changes that.
    mine: hard-example mining: fraction of an epoch's samples that are drawn in proportion to the loss of the batch in
        which they were last seen.
    labels: how many times as often a case with a label is drawn. {3: 2} draws cases with cysts (hard cases) twice as
        often. Labels are those of the mask files, before the recipe's ``merge``. With several labels the factors are
        multiplied.
    """

    foreground: float | None = Field(None, ge=0, le=1)
    per_epoch: int | None = Field(None, ge=1)
    mine: float = Field(0.0, ge=0, le=1)
    labels: dict[int, Annotated[float, Field(gt=0)]] = {}


class Schedule(RecipePart):
    """The learning rate: a linear warm-up, then a schedule of one ``kind``.

    kind: schedule after the warm-up. cosine: half a cosine down to ``end`` at the last step; exponential: multiplied by
        ``factor`` after every epoch, but not below ``end``; constant: stays at ``peak``.
    start: learning rate at step 0.
    peak: learning rate after the warm-up.
    end: lowest learning rate (cosine: at the last step; exponential: lower bound).
    warmup: steps of the linear warm-up from ``start`` to ``peak``.
    factor: factor after every epoch (exponential).
    """

    kind: Literal["cosine", "exponential", "constant"] = "cosine"
    start: float = Field(3e-4, gt=0)
    peak: float = Field(1e-3, gt=0)
    end: float = Field(1e-5, ge=0)
    warmup: int = Field(1500, ge=0)
    factor: float = Field(0.985, gt=0, le=1)

    @model_validator(mode="after")
    def _fitting(self) -> Schedule:
        useless = {"cosine": ("factor",), "exponential": (), "constant": ("factor", "end")}[self.kind]
        for key in useless:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is of no effect with kind: {self.kind}: leave it out")
        return self


class Train(RecipePart):
    """The training settings of a stage.

    epochs: number of epochs.
    batch_size: samples per step on each device.
    optimizer: optimiser.
    weight_decay: weight decay of the optimiser.
    schedule: learning rate.
    clip_norm: gradients are clipped to this global L2 norm; 0: not clipped.
    precision: number format in which the network computes; auto: float32 on a CPU, float16 on Ascend and GPU.
    sampler: choice of the samples of an epoch.
    augment: random augmentation of the samples.
    best: value on the validation cases by which the best checkpoint is chosen: highest Dice or lowest loss.
    validate_every: epochs between two validations.
    checkpoint_every: steps between two checkpoints; 0: only after each epoch.
    seed: seed of all random numbers.
    """

    epochs: int = Field(90, ge=1)
    batch_size: int = Field(4, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    schedule: Schedule = Schedule()
    clip_norm: float = Field(1.0, ge=0)
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    sampler: Sampler = Sampler()
    augment: Augment = Augment()
    best: Literal["dice", "loss"] = "dice"
    validate_every: int = Field(1, ge=1)
    checkpoint_every: int = Field(200, ge=0)
    seed: int = Field(2022, ge=0)

    @model_validator(mode="after")
    def _fitting(self) -> Train:
        if self.augment.mixup and self.batch_size < 2:
            raise ValueError("augment.mixup blends the samples of a batch: batch_size must be 2 or more")
        return self
