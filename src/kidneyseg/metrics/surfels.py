"""Areas of the surface elements (surfels) of a binary mask, by marching cubes.

A cell is formed by eight neighbouring voxels (2 x 2 x 2). Its neighbour code has one bit per voxel, in (z, y, x) order,
the first voxel most significant. Marching cubes defines a piece of surface for each of the 256 codes, but leaves two
choices open. They are made here as in DeepMind's surface-distance, which KiTS21/23 use (Nikolov et al. 2018, arXiv
1809.04430); its table is generated here from the geometry:

- an ambiguous cell separates the voxels of the minority (at most four of the eight) instead of connecting them;
- a non-planar polygon is divided into the triangles with the largest total area, in a cell of unit spacing.
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
    """Compute the area of the surface in a cell for each neighbour code: (256,) float, mm^2.

    Args:
        spacing: voxel size in mm, (z, y, x).
    """
    z, y, x = spacing
    return np.array([np.linalg.norm(vectors * (y * x, z * x, z * y), axis=1).sum() for vectors in _area_vectors()])


@lru_cache(maxsize=1)
def _area_vectors() -> list[np.ndarray]:
    """Return for each neighbour code the area vectors (normals with length = area) of its triangles, (n, 3)."""
    return [_triangles(code) for code in range(256)]


def _triangles(code: int) -> np.ndarray:
    inside = np.array([code >> bit & 1 for bit in reversed(range(8))], bool).reshape(2, 2, 2)
    if inside.sum() > 4:
        inside = ~inside
    triangles = [_largest_triangulation(polygon) for polygon in _polygons(inside)]
    return np.concatenate(triangles) if triangles else np.zeros((0, 3))


def _polygons(inside: np.ndarray) -> Iterator[list[Point]]:
    """Yield the closed polygons around the inside corners of a cell; their vertices are midpoints of cell edges."""
    following = _segments(inside)
    while following:
        start, point = following.popitem()
        polygon = [start]
        while point != start:
            polygon.append(point)
            point = following.pop(point)
        yield polygon


def _segments(inside: np.ndarray) -> dict[Point, Point]:
    """Return the intersection of the surface with the six faces: each midpoint -> the next midpoint.

    Around a face, every run of inside corners is cut off separately, which separates them in ambiguous faces.
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
    """Yield the corners of each face of a cell, counter-clockwise seen from outside."""
    for axis, side in itertools.product(range(3), (0, 1)):
        ring = [np.roll((side, p, q), axis) for p, q in ((0, 0), (1, 0), (1, 1), (0, 1))]
        corners = [per_axis(int(c) for c in corner) for corner in ring]
        yield corners if side else corners[::-1]


def _middle(a: Corner, b: Corner) -> Point:
    return per_axis((p + q) / 2 for p, q in zip(a, b))


def _largest_triangulation(polygon: list[Point]) -> np.ndarray:
    """Return the area vectors of the triangulation with the largest total area, (n, 3)."""
    points = np.array(polygon)
    choices = []
    for triangles in _triangulations(0, len(polygon) - 1):
        a, b, c = (points[list(index)] for index in zip(*triangles))
        choices.append(np.cross(b - a, c - a) / 2)
    # Rounded, so that of equally large ones (they differ only inside a plane) the first is used, whatever the rounding.
    return max(choices, key=lambda vectors: round(np.linalg.norm(vectors, axis=1).sum(), 9))


def _triangulations(first: int, last: int) -> list[list[tuple[int, int, int]]]:
    """List all triangulations of the polygon with the vertices ``first`` to ``last``."""
    if last - first < 2:
        return [[]]
    return [
        [*left, (first, apex, last), *right]
        for apex in range(first + 1, last)
        for left in _triangulations(first, apex)
        for right in _triangulations(apex, last)
    ]
