"""Voxels that may belong to several classes, in masks that were not drawn for this task.

A data set may label a whole organ, while a stage has classes for its parts. Such voxels have special codes in the
target, and the losses use what is known about them: the marginal loss of Shi et al., "Marginal loss and exclusion loss
for partially supervised multi-organ segmentation", Medical Image Analysis 70 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
from mindspore import ops
from mindspore.ops import constexpr

Uncertain = Mapping[int, tuple[int, ...]]
"""Code in the target -> the classes to which such a voxel may belong."""


def inside(target: ms.Tensor, region: tuple[int, ...], uncertain: Uncertain) -> ms.Tensor:
    """Return where ``target`` (N, *S) int is certainly in ``region``, a set of classes: (N, *S) bool."""
    sure = (*region, *_split(region, tuple(uncertain.items()))[0])
    found = target == sure[0]
    for code in sure[1:]:
        found = ops.logical_or(found, target == code)
    return found


def known(target: ms.Tensor, region: tuple[int, ...], uncertain: Uncertain) -> ms.Tensor | None:
    """Return where it is known whether ``target`` is in ``region``: (N, *S) float32; None: everywhere."""
    unsure = _split(region, tuple(uncertain.items()))[1]
    if not unsure:
        return None
    found = target != unsure[0]
    for code in unsure[1:]:
        found = ops.logical_and(found, target != code)
    return found.astype(ms.float32)


def split_codes(region: tuple[int, ...], uncertain: Uncertain) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the codes of voxels that are certainly in ``region``, a set of classes, and the codes that are unknown."""
    parts = {code: (set(classes) & set(region), set(classes) - set(region)) for code, classes in uncertain.items()}
    return (
        tuple(code for code, (_, outside) in parts.items() if not outside),
        tuple(code for code, (within, outside) in parts.items() if within and outside),
    )


@constexpr  # compiled graphs do not support sets
def _split(region: tuple[int, ...], uncertain: tuple) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return split_codes(region, dict(uncertain))
