"""nnU-Net's network, MONAI's DynUNet, and its loss."""

from __future__ import annotations

import torch
from monai.losses import DeepSupervisionLoss, DiceCELoss
from monai.networks.nets import DynUNet
from torch import nn

from kidneyseg.benchmark.nnunet.plan import Plan

MOST_FEATURES = 320


class Network(DynUNet):
    """DynUNet that returns the logits of each resolution in their own size in training, as nnU-Net does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        logits = self.output_block(self.skip_layers(x))
        return [logits, *self.heads] if self.training and self.deep_supervision else logits


def build(plan: Plan, classes: int, width: int) -> Network:
    """Build the network of ``plan``: (n, 1, z, y, x) -> logits (n, classes, z, y, x).

    Args:
        plan: the plan.
        classes: number of classes, the background included.
        width: features at full resolution, doubled with every level up to 320.
    """
    heads = _heads(plan)
    return Network(
        3,
        1,
        classes,
        plan.kernels,
        plan.strides,
        plan.strides[1:],
        filters=[min(MOST_FEATURES, width * 2**level) for level in range(len(plan.strides))],
        deep_supervision=heads > 0,
        deep_supr_num=max(1, heads),
        trans_bias=True,
    )


def build_loss(plan: Plan) -> nn.Module:
    """Build the loss: Dice of the foreground classes per patch + cross-entropy; weights halve with each resolution."""
    dice_ce = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    weights = [0.5**level for level in range(_heads(plan) + 1)]
    return DeepSupervisionLoss(dice_ce, weights=[weight / sum(weights) for weight in weights])


def _heads(plan: Plan) -> int:
    """Count the supervised lower resolutions: all but the two lowest, of which nnU-Net gives one the weight 0."""
    return len(plan.strides) - 3
