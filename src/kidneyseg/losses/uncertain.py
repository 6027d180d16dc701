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
    sure = (*region, *_split(region, tuple(uncertain.items()))[0])
    found = target == sure[0]
    for code in sure[1:]:
        found = ops.logical_or(found, target == code)
    return found


def known(target: ms.Tensor, region: tuple[int, ...], uncertain: Uncertain) -> ms.Tensor | None:
    """Where it is known whether ``target`` is in ``region``: (N, *S) float32; None: everywhere."""
    unsure = _split(region, tuple(uncertain.items()))[1]
    if not unsure:
        return None
    found = target != unsure[0]
    for code in unsure[1:]:
        found = ops.logical_and(found, target != code)
    return found.astype(ms.float32)


def split_codes(region: tuple[int, ...], uncertain: Uncertain) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Codes of voxels that are in ``region``, a set of classes, for certain, and of those of which it is not known."""
    parts = {code: (set(classes) & set(region), set(classes) - set(region)) for code, classes in uncertain.items()}
    return (
        tuple(code for code, (_, outside) in parts.items() if not outside),
        tuple(code for code, (within, outside) in parts.items() if within and outside),
    )


@constexpr  # compiled graphs know no sets
def _split(region: tuple[int, ...], uncertain: tuple) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return split_codes(region, dict(uncertain))
