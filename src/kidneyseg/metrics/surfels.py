"""Areas of the surface elements (surfels) of a binary mask, by marching cubes.

Eight neighbouring voxels (2 x 2 x 2) make a cell; its neighbour code is one bit per voxel, in (z, y, x) order, first
voxel most significant. Marching cubes puts a piece of surface into each of the 256 kinds of cell. Two choices are open
in that algorithm, and these are the ones of DeepMind's surface-distance, which KiTS21/23 use (Nikolov et al. 2018,
arXiv 1809.04430); its table is generated here from the geometry:

- an ambiguous cell separates the voxels of the minority (at most four of the eight) instead of joining them;
- a polygon that is not plane is cut into the triangles of largest total area, in a cell of unit spacing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from kidneyseg.volume.axes import PerAxis, per_axis

Corner = PerAxis[int]
Point = PerAxis[float]


def surfel_areas(spacing: Sequence[float]) -> np.ndarray:
    """Area in mm^2 of the surface in a cell, indexed by neighbour code: (256,) float.

    Args:
        spacing: voxel size in mm, (z, y, x).
    """
    z, y, x = spacing
    return np.array([np.linalg.norm(vectors * (y * x, z * x, z * y), axis=1).sum() for vectors in _area_vectors()])


@lru_cache(maxsize=1)
def _area_vectors() -> list[np.ndarray]:
    """Per neighbour code the area vectors (normals as long as the area) of its triangles at unit spacing, (n, 3)."""
    return [_triangles(code) for code in range(256)]


def _triangles(code: int) -> np.ndarray:
    inside = np.array([code >> bit & 1 for bit in reversed(range(8))], bool).reshape(2, 2, 2)
    if inside.sum() > 4:
        inside = ~inside
    triangles = [_largest_triangulation(polygon) for polygon in _polygons(inside)]
    return np.concatenate(triangles) if triangles else np.zeros((0, 3))


def _polygons(inside: np.ndarray) -> Iterator[list[Point]]:
    """The closed polygons around the inside corners of a cell; their vertices are midpoints of cell edges."""
    following = _segments(inside)
    while following:
        start, point = following.popitem()
        polygon = [start]
        while point != start:
            polygon.append(point)
            point = following.pop(point)
        yield polygon


def _segments(inside: np.ndarray) -> dict[Point, Point]:
    """Where the surface cuts the six faces: from each midpoint to the one that follows it.

    Going round a face, every run of inside corners is cut off on its own: that separates them in ambiguous faces.
    """
    following = {}
    for ring in _faces():
        for first in range(4):
            if inside[ring[first - 1]] or not inside[ring[first]]:
                continue
            last = next(i for i in range(first, first + 4) if not inside[ring[(i + 1) % 4]])
            following[_middle(ring[first - 1], ring[first])] = _middle(ring[last % 4], ring[(last + 1) % 4])
    return following


def _faces() -> Iterator[list[Corner]]:
    """The corners round each face of a cell, counter-clockwise seen from outside."""
    for axis, side in itertools.product(range(3), (0, 1)):
        ring = [np.roll((side, p, q), axis) for p, q in ((0, 0), (1, 0), (1, 1), (0, 1))]
        corners = [per_axis(int(c) for c in corner) for corner in ring]
        yield corners if side else corners[::-1]


def _middle(a: Corner, b: Corner) -> Point:
    return per_axis((p + q) / 2 for p, q in zip(a, b))


def _largest_triangulation(polygon: list[Point]) -> np.ndarray:
    """Area vectors of the triangulation with the largest total area, (n, 3)."""
    points = np.array(polygon)
    choices = []
    for triangles in _triangulations(0, len(polygon) - 1):
        a, b, c = (points[list(index)] for index in zip(*triangles))
        choices.append(np.cross(b - a, c - a) / 2)
    # Rounded, so that equally large ones (they differ only inside a plane) are told apart by their order, not by noise.
    return max(choices, key=lambda vectors: round(np.linalg.norm(vectors, axis=1).sum(), 9))


def _triangulations(first: int, last: int) -> list[list[tuple[int, int, int]]]:
    """All ways to cut the polygon of vertices ``first`` to ``last`` into triangles."""
    if last - first < 2:
        return [[]]
    return [
        [*left, (first, apex, last), *right]
        for apex in range(first + 1, last)
        for left in _triangulations(first, apex)
        for right in _triangulations(apex, last)
    ]
