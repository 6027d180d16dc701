"""Clean-up of masks: fill holes, remove small components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cc3d
import fill_voids
import numpy as np

from kidneyseg.volume.box import bounding_box

if TYPE_CHECKING:
    from kidneyseg.recipe import Component


def clean(mask: np.ndarray, components: Sequence[Component], voxel_ml: float) -> np.ndarray:
    """Apply the clean-ups ``components`` one after the other.

    Args:
        mask: (z, y, x) uint8 labels; not changed.
        components: the clean-ups, see :class:`kidneyseg.recipe.Component`. Holes are those of the 3-D union of the
            labels (not connected to the outside through faces); components are 26-connected. A component is removed if
            it is below any of the limits or not among the largest that are kept; its voxels become background.
        voxel_ml: volume of one voxel in ml.

    Returns:
        The cleaned mask, a new array.
    """
    mask = mask.copy()
    inside = mask[bounding_box(mask)]  # a view, because most of a scan is background
    for component in components:
        union = np.isin(inside, component.labels)
        box = bounding_box(union)
        if union[box].size:
            _clean_box(inside[box], union[box], component, voxel_ml)
    return mask


def _clean_box(mask: np.ndarray, union: np.ndarray, component: Component, voxel_ml: float) -> None:
    """Apply ``component`` to ``mask`` in place; ``union`` is the bool mask of its labels."""
    if component.fill_holes:
        filled = fill_voids.fill(union)
        mask[filled & ~union] = component.labels[0]
        union = filled
    if component.min_fraction > 0 or component.min_ml > 0 or component.min_voxels > 0 or component.largest > 0:
        numbered, count = cc3d.connected_components(union, connectivity=26, return_N=True)
        voxels = np.bincount(numbered.ravel(), minlength=count + 1)
        dropped = np.append(False, _dropped(voxels[1:], component, voxel_ml))
        mask[dropped[numbered]] = 0


def _dropped(voxels: np.ndarray, component: Component, voxel_ml: float) -> np.ndarray:
    """Tell which components are removed, (n,) bool; ``voxels``: (n,) sizes. Of equal sizes the first is the largest."""
    small = (
        (voxels < component.min_fraction * voxels.max())
        | (voxels * voxel_ml < component.min_ml)
        | (voxels < component.min_voxels)
    )
    if component.largest > 0:
        small[np.argsort(-voxels, kind="stable")[component.largest :]] = True
    return small
