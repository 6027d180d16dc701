"""Axis-aligned grids over a scan, which describe all crops, resampled images and regions of interest.

A :class:`Grid` has the positions of its voxel centres in the voxel coordinates of the scan in canonical orientation.
With :func:`sample`, an image or a mask can be resampled from any grid to any other, and back to the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from kidneyseg.volume.axes import PerAxis, per_axis
from kidneyseg.volume.interpolation import linear, nearest

ONE_PER_AXIS = Field(min_length=3, max_length=3)


class GridFacts(TypedDict):
    """A ``Grid`` as JSON types."""

    shape: Annotated[list[int], ONE_PER_AXIS]
    origin: Annotated[list[float], ONE_PER_AXIS]
    step: Annotated[list[float], ONE_PER_AXIS]


@dataclass(frozen=True)
class Grid:
    """A grid: voxel ``i`` of axis ``a`` has its centre at ``origin[a] + i * step[a]``, in voxels of the scan.

    Axes are (z, y, x).

    Attributes:
        shape: number of voxels.
        origin: centre of the first voxel, in voxels of the scan (may be outside it).
        step: distance of neighbouring voxels, in voxels of the scan, > 0.
    """

    shape: PerAxis[int]
    origin: PerAxis[float] = (0.0, 0.0, 0.0)
    step: PerAxis[float] = (1.0, 1.0, 1.0)

    @classmethod
    def of(cls, array: np.ndarray) -> Grid:
        """Return the grid of the scan ``array``."""
        return cls(per_axis(int(n) for n in array.shape))

    def crop(self, box: Sequence[slice]) -> Grid:
        """Crop to ``box`` (three slices with start and stop in voxels of this grid; may extend outside it)."""
        origin = per_axis(o + b.start * s for o, s, b in zip(self.origin, self.step, box))
        return Grid(per_axis(b.stop - b.start for b in box), origin, self.step)

    def resize(self, shape: Sequence[int]) -> Grid:
        """Resize to ``shape`` voxels with the same extent: outer voxel faces, not centres, keep their positions."""
        step = per_axis(s * n / m for s, n, m in zip(self.step, self.shape, shape))
        origin = per_axis(o + (t - s) / 2 for o, s, t in zip(self.origin, self.step, step))
        return Grid(per_axis(int(n) for n in shape), origin, step)

    def at_spacing(self, spacing: Sequence[float], scan_spacing: Sequence[float]) -> Grid:
        """Resize to about ``spacing`` mm (whole voxels) with the same extent; the scan has ``scan_spacing`` mm."""
        now = self.spacing(scan_spacing)
        return self.resize([max(1, round(n * s / t)) for n, s, t in zip(self.shape, now, spacing)])

    def spacing(self, scan_spacing: Sequence[float]) -> PerAxis[float]:
        """Return the voxel size in mm, (z, y, x); the scan has ``scan_spacing`` mm."""
        return per_axis(t * s for t, s in zip(self.step, scan_spacing))

    def voxel_ml(self, scan_voxel_ml: float) -> float:
        """Return the volume of one voxel in ml; a voxel of the scan has ``scan_voxel_ml``."""
        return float(np.prod(self.step)) * scan_voxel_ml

    def cover(self, box: Sequence[slice], other: Grid) -> PerAxis[slice]:
        """Return the smallest box of ``other``, clipped to it, that covers ``box`` of this grid up to its faces."""
        covered = []
        for axis, part in enumerate(box):
            start, step = self.origin[axis] - other.origin[axis], self.step[axis]
            low, high = ((start + (face - 0.5) * step) / other.step[axis] + 0.5 for face in (part.start, part.stop))
            covered.append(slice(max(0, int(np.floor(low + 1e-6))), min(other.shape[axis], int(np.ceil(high - 1e-6)))))
        return per_axis(covered)

    def to_dict(self) -> GridFacts:
        """Return the grid as JSON types."""
        return {"shape": list(self.shape), "origin": list(self.origin), "step": list(self.step)}

    @classmethod
    def from_dict(cls, data: GridFacts) -> Grid:
        return cls(per_axis(data["shape"]), per_axis(data["origin"]), per_axis(data["step"]))


def sample(array: np.ndarray, source: Grid, target: Grid, order: int, fill: float = 0) -> np.ndarray:
    """Resample ``array`` from the grid ``source`` to the voxel centres of ``target``.

    Args:
        array: (z, y, x), shape of ``source``; or several such, (..., z, y, x).
        source: grid of ``array``.
        target: grid of the result.
        order: 0 nearest neighbour (masks), 1 linear (images, probabilities).
        fill: value outside the outer faces of ``source``. Between the outer voxel centres and the outer faces the edge
            value is used, so that a resized image has no dark border.

    Returns:
        (..., z, y, x) of ``target.shape``, dtype of ``array``. Between grids with the same step and an offset of whole
        voxels the values are copied without interpolation.

    Raises:
        ValueError: ``array`` does not have the shape of ``source``.
    """
    if tuple(array.shape[-3:]) != tuple(source.shape):
        raise ValueError(f"array of shape {array.shape} does not fit a grid of shape {source.shape}")
    scale = np.array([t / s for s, t in zip(source.step, target.step)])
    offset = np.array([(t - s) / w for s, t, w in zip(source.origin, target.origin, source.step)])
    inside = tuple(_inside(o, k, n, m) for o, k, n, m in zip(offset, scale, source.shape, target.shape))
    out = np.full((*array.shape[:-3], *target.shape), fill, array.dtype)
    if any(i.start >= i.stop for i in inside):
        return out
    start = offset + scale * [i.start for i in inside]
    size = [i.stop - i.start for i in inside]
    part = out[..., inside[0], inside[1], inside[2]]
    if np.allclose(scale, 1) and np.allclose(start, np.rint(start), atol=1e-6):
        first = np.rint(start).astype(int)
        z, y, x = (slice(f, f + n) for f, n in zip(first, size))
        part[...] = array[..., z, y, x]
    else:
        interpolate = linear if order else nearest
        interpolate(array, [f + k * np.arange(n) for f, k, n in zip(start, scale, size)], part)
    return out


def _inside(offset: float, scale: float, source: int, target: int) -> slice:
    """Return the indices of ``target`` with centres between the outer faces of ``source`` along one axis."""
    first = int(np.ceil((-0.5 - offset) / scale - 1e-6))
    last = int(np.floor((source - 0.5 - offset) / scale + 1e-6))
    return slice(min(max(first, 0), target), max(min(last + 1, target), 0))
