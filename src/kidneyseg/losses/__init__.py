"""Losses, one idea per file: loss(logits (N, C, *S) float, target (N, *S) int32) -> float32 scalar."""
from __future__ import annotations

from mindspore import nn

from kidneyseg.errors import InputError, nearest
from kidneyseg.losses.cross_entropy import CrossEntropy
from kidneyseg.losses.deep_supervision import DeepSupervision
from kidneyseg.losses.dice import SoftDice
from kidneyseg.losses.dice_ce import DiceCE
from kidneyseg.losses.hybrid_dice import HybridDice, LogDice
from kidneyseg.recipe import Loss

__all__ = ["LOSSES", "CrossEntropy", "DeepSupervision", "DiceCE", "HybridDice", "LogDice", "SoftDice", "build"]

LOSSES = {
    "dice_ce": lambda spec: DiceCE(spec.regions, spec.batch),
    "hybrid_dice": lambda spec: HybridDice(spec.regions, spec.batch, LogDice(spec.gamma)),
}


def build(spec: Loss) -> nn.Cell:
    """Returns the loss of a recipe; it takes one tensor of logits or the tuple that deep supervision makes.

    Raises InputError for an unknown name.
    """
    if spec.name not in LOSSES:
        raise InputError("loss.name", expected=f"one of {', '.join(LOSSES)}", found=repr(spec.name),
                         remedy=nearest(spec.name, list(LOSSES)) or "Name a loss that exists")
    return DeepSupervision(LOSSES[spec.name](spec))
