"""Voxels whose class is known only as one of several, as masks leave them that were not drawn for this task.

A data set may label a whole organ where a stage tells its parts apart. Such voxels carry a code of their own, and the
losses count what is known of them: the marginal loss of Shi et al., "Marginal loss and exclusion loss for partially
supervised multi-organ segmentation", Medical Image Analysis 70 (2021).
"""
from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
from mindspore import ops
from mindspore.ops import constexpr

Uncertain = Mapping[int, tuple[int, ...]]
"""Code in the target -> the classes that such a voxel may be of."""


def inside(target: ms.Tensor, region: tuple[int, ...], uncertain: Uncertain) -> ms.Tensor:
    """Where ``target`` (N, *S) int is certainly in ``region``, a set of classes: (N, *S) bool."""
    sure = _codes_inside(region, tuple(uncertain.items()))
    found = target == sure[0]
    for code in sure[1:]:
        found = ops.logical_or(found, target == code)
    return found


def known(target: ms.Tensor, region: tuple[int, ...], uncertain: Uncertain) -> ms.Tensor | None:
    """Where it is known whether ``target`` is in ``region``: (N, *S) float32; None: everywhere."""
    unsure = _codes_across(region, tuple(uncertain.items()))
    if not unsure:
        return None
    found = target != unsure[0]
    for code in unsure[1:]:
        found = ops.logical_and(found, target != code)
    return found.astype(ms.float32)


@constexpr  # compiled graphs know no sets
def _codes_inside(region: tuple[int, ...], uncertain: tuple[tuple[int, tuple[int, ...]], ...]) -> tuple[int, ...]:
    return (*region, *(code for code, classes in uncertain if set(classes) <= set(region)))


@constexpr
def _codes_across(region: tuple[int, ...], uncertain: tuple[tuple[int, tuple[int, ...]], ...]) -> tuple[int, ...]:
    return tuple(code for code, classes in uncertain if 0 < len(set(classes) & set(region)) < len(set(classes)))
