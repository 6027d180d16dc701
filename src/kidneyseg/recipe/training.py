"""How a stage is trained: loss, augmentation, choice of samples, learning rate, optimiser."""

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
"""Of a random factor: 0.1 draws from 0.9-1.1, [0.6, 1.5] from just that."""
Axes = Annotated[str, Field(pattern="^z?y?x?$")]
"""Some of the axes, for example "yx"."""


class SideOutputs(RecipePart):
    """Weights of the side outputs of a network with deep supervision; its main output has weight 1.

    The k-th side output (k = 1 is the finest) weighs ``weight * falloff ** (k - 1)``, times ``decay`` after every
    ``every`` epochs.
    """

    weight: float = Field(0.5, ge=0)
    falloff: float = Field(0.5, ge=0, le=1)
    decay: float = Field(1.0, ge=0, le=1)
    every: int = Field(15, ge=1)


class Loss(RecipePart):
    """``name``: one of ``kidneyseg.losses.LOSSES``.

    regions: the class sets whose Dice counts (class k is the k-th of the stage's targets); default each class.
    batch: Dice of the whole batch instead of the mean over its samples.
    weights: of the classes, the background's first, in the mean of their Dice, which then counts the background too.
        Cross-entropy and focal loss are not weighted. Default: the mean over the regions, without the background.
    gamma: exponent of Hybrid-Dice's logarithm; focus: exponent of the focal loss.
    side: of deep supervision.
    """

    name: str
    regions: tuple[tuple[int, ...], ...] | None = None
    batch: bool = True
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    gamma: float = Field(1.0, gt=0)
    focus: float = Field(2.0, ge=0)
    side: SideOutputs = SideOutputs()


class Elastic(RecipePart):
    """Smooth random displacement in plane: noise blurred by ``sigma`` voxels times ``magnitude``, each drawn from its
    range.

    As in MONAI's Rand3DElastic the blur counts along z, too: (3, 5) and (100, 200) displace by 1-3 voxels.
    """

    probability: float = Field(0.0, ge=0, le=1)
    sigma: Pair = (3, 5)
    magnitude: Pair = (100, 200)


class Lesion(RecipePart):
    """Changes of intensity inside ``classes`` only, as :class:`Augment` has them for the whole image."""

    classes: tuple[int, ...] = ()
    brightness: float = Field(0.0, ge=0)
    contrast: Range = 0.0
    gamma: Range = 0.0

    @model_validator(mode="after")
    def _somewhere(self) -> Lesion:
        if not self.classes and (self.brightness, self.contrast, self.gamma) != (0, 0, 0):
            raise ValueError("classes must say inside which classes the intensity changes")
        return self


class Phases(RecipePart):
    """Probability of each contrast phase that a sample is changed into; what is left keeps its own.

    They are made from HU and the mask, see :mod:`kidneyseg.volume.contrast_phase`. Every target counts as kidney.
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
    """HU above a limit become that limit, drawn from ``hu`` (low, high), as in data that was clipped to a window."""

    probability: float = Field(0.0, ge=0, le=1)
    hu: Pair = (200, 304)


class Augment(RecipePart):
    """Random changes of training samples; 0 turns one off. Geometry is shared by image and mask.

    flip: probability per axis of ``flip_axes``; scale, contrast, gamma: ranges of factors.
    rotate (degrees in plane), shift (fraction of the in-plane size), brightness (added to the normalised image): the
        most of either sign; drawn uniformly.
    noise (standard deviation, of the normalised image), blur (sigma in voxels, in plane): the most; drawn uniformly.
    phases: other contrast phases; saturation: HU cut off above, to what other data sets are clipped to.
    equalise: probability of histogram equalisation; clip: what has changed stays in the range of the clipped HU; mixup:
        alpha of the Beta distribution that blends a batch with itself.
    probability: chance that a sample gets each change that has no probability of its own (flip, elastic, phases,
        saturation, equalise).
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
    """Which prepared samples an epoch holds.

    per_epoch: samples in one epoch; None: as many as there are, every sample once unless the others ask otherwise.
    mine: share of an epoch's samples drawn in proportion to their batch's loss when last seen (hard-example mining).
    foreground: share of the others that contain a target; None takes the samples as they come.
    labels: how many times as often a case that holds a label is drawn, {3: 2} for cases with cysts (hard cases); the
        label is one of the masks' files, before the recipe's ``merge``. A case that holds several has their product.
    """

    foreground: float | None = Field(None, ge=0, le=1)
    per_epoch: int | None = Field(None, ge=1)
    mine: float = Field(0.0, ge=0, le=1)
    labels: dict[int, Annotated[float, Field(gt=0)]] = {}


class Schedule(RecipePart):
    """Learning rate: linear ``start`` -> ``peak`` over ``warmup`` steps, then, by ``kind``:

    cosine: half a cosine to ``end`` at the last step; exponential: times ``factor`` after every epoch, down to ``end``;
    constant: as it is.
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
    """``batch_size`` is per device. ``validate_every`` counts epochs, ``checkpoint_every`` steps (0: only epochs).

    best: what the checkpoint that is kept is best in on the validation cases, their Dice or their loss.
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
