"""Losses: loss(logits (N, C, *S) float, target (N, *S) int32) -> float32 scalar."""

from __future__ import annotations

from kidneyseg.errors import InputError, did_you_mean
from kidneyseg.losses.binary_cross_entropy import BinaryCrossEntropy
from kidneyseg.losses.compound import Compound
from kidneyseg.losses.cross_entropy import CrossEntropy, Focal
from kidneyseg.losses.deep_supervision import DeepSupervision
from kidneyseg.losses.dice import DiceLoss, SoftDice
from kidneyseg.losses.hybrid_dice import LogDice, MappedDice
from kidneyseg.losses.uncertain import Uncertain
from kidneyseg.recipe import Loss

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "Compound",
    "CrossEntropy",
    "DeepSupervision",
    "DiceLoss",
    "Focal",
    "LogDice",
    "MappedDice",
    "SoftDice",
    "build_loss",
]

# Name in a recipe -> function that builds the loss, and the recipe's settings that it uses; all losses use ``side``.
LOSSES = {
    "dice_ce": (
        lambda spec, uncertain: Compound(
            DiceLoss(spec.regions, spec.batch, spec.weights, uncertain), CrossEntropy(uncertain)
        ),
        {"regions", "batch", "weights"},
    ),
    "hybrid_dice": (
        lambda spec, uncertain: Compound(
            MappedDice(spec.regions, spec.batch, LogDice(spec.gamma), uncertain), CrossEntropy(uncertain)
        ),
        {"regions", "batch", "gamma"},
    ),
    "dice": (
        lambda spec, uncertain: DiceLoss(spec.regions, spec.batch, spec.weights, uncertain),
        {"regions", "batch", "weights"},
    ),
    "focal_dice": (
        lambda spec, uncertain: Compound(
            Focal(spec.focus, uncertain), DiceLoss(spec.regions, spec.batch, spec.weights, uncertain)
        ),
        {"regions", "batch", "weights", "focus"},
    ),
    "bce": (lambda spec, uncertain: BinaryCrossEntropy(uncertain), set()),
}


def build_loss(spec: Loss, uncertain: Uncertain | None = None) -> DeepSupervision:
    """Build the loss of a recipe, for one tensor of logits or the tuple of deep supervision.

    Args:
        spec: the loss settings.
        uncertain: target code -> classes, for the codes of voxels that may belong to several classes.

    Raises:
        InputError: an unknown name, or settings that the loss does not use.
    """
    if spec.name not in LOSSES:
        raise InputError(
            "loss.name",
            expected=f"one of {', '.join(LOSSES)}",
            found=repr(spec.name),
            remedy=did_you_mean(spec.name, list(LOSSES)) or "Name a loss that exists",
        )
    _require_use(spec)
    build, _ = LOSSES[spec.name]
    return DeepSupervision(build(spec, uncertain or {}), spec.side)


def _require_use(spec: Loss) -> None:
    fields = Loss.model_fields
    for key in fields.keys() - {"name", "side"} - LOSSES[spec.name][1]:
        if getattr(spec, key) != fields[key].default:
            able = ", ".join(name for name, (_, settings) in LOSSES.items() if key in settings)
            raise InputError(
                f"loss.{key}",
                expected=f"a loss that uses it ({able})",
                found=repr(spec.name),
                remedy="Leave it out, or use another loss",
            )
    if spec.weights is not None and (spec.regions is not None or sum(spec.weights) == 0):
        raise InputError(
            "loss.weights",
            expected="weights of single classes, without loss.regions, and not all 0",
            found=f"weights {list(spec.weights)}, regions {spec.regions}",
            remedy="Leave out one of them",
        )
