"""Segmentation of one scan: sliding windows, resampled to the voxels of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import nn
from torch.nn import functional as F

from kidneyseg.benchmark.nnunet.images import Intensity, resampled
from kidneyseg.benchmark.nnunet.plan import Plan
from kidneyseg.benchmark.nnunet.speed import Setting
from kidneyseg.volume.nifti import Scan

AXES = (2, 3, 4)
MIRRORS = [axes for count in range(1, 4) for axes in combinations(AXES, count)]


@torch.inference_mode()
def segment(
    network: nn.Module,
    setting: Setting,
    plan: Plan,
    intensity: Intensity,
    labels: Sequence[int],
    scan: Scan,
    mirror: bool,
) -> np.ndarray:
    """Segment ``scan``; returns labels, (z, y, x) uint8, with the shape of ``scan.array``.

    Args:
        network: the network.
        setting: layout and precision.
        plan: the plan.
        intensity: intensities of the foreground.
        labels: label of each class of the network.
        scan: the scan.
        mirror: average the predictions of the scan and its seven mirrored copies.
    """

    def logits(window: torch.Tensor) -> torch.Tensor:
        found = setting.run(network, window).float()
        for axes in MIRRORS if mirror else ():
            found = found + setting.run(network, window.flip(axes)).float().flip(axes)
        return found

    network.eval()
    image = resampled(intensity.normalised(scan.array), scan.spacing, plan.spacing)
    found = sliding_window_inference(
        torch.from_numpy(image)[None, None], plan.patch, 1, logits, overlap=0.5, mode="gaussian", sigma_scale=0.125
    )
    found = F.interpolate(found, scan.array.shape, mode="trilinear", align_corners=False)
    return np.array(labels, np.uint8)[found[0].argmax(0).numpy()]
