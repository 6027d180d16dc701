"""Tumours and cysts of one patient, and their possible positions in the kidney of another patient.

The position of a lesion is described relative to its kidney: its height along the kidney, its direction from the
kidney's axis, and the fraction of the lesion inside the kidney's convex hull. In another kidney it is placed at the
same height and in about the same direction, and moved outwards until the same fraction is inside the convex hull.
Points and directions are (z, y, x) in mm of their scan in canonical orientation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import ConvexHull

from kidneyseg.simulation.abdomen import CYST, KIDNEY, TUMOUR
from kidneyseg.volume.box import Box, bounding_box
from kidneyseg.volume.nifti import Scan

LEAST_KIDNEY_ML = 20.0  # a smaller component is a remnant, or a part at the border of the scan
LEAST_LESION_ML = 0.5
GRID_MM = 1.0  # voxel size of the stored shapes
MARGIN_MM = 8.0  # margin around a shape, so that its edge can be blended
SHARE_POINTS = 1500  # number of points that gives the fraction with an error of about 1 %
SHARE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Kidney:
    """One kidney without its lesions.

    Attributes:
        points: (n, 3), its voxel centres.
        planes: (m, 4), its convex hull: a point is inside if no element of ``planes @ (z, y, x, 1)`` is above 0.
        left: whether it is the patient's left one.
    """

    points: np.ndarray
    planes: np.ndarray
    left: bool

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Tell for each of (n, 3) points whether it is inside the convex hull, (n,) bool."""
        return (self._distances(points) <= 1e-6).all(axis=0)

    def outline(self, spacing: Sequence[float], shape: Sequence[int]) -> np.ndarray:
        """Return the voxels of its scan inside the convex hull, (z, y, x) bool of ``shape``."""
        outline = np.zeros(shape, bool)
        low, high = (self.points.min(axis=0) / spacing).round(), (self.points.max(axis=0) / spacing).round()
        z, y, x = (np.arange(a, b + 1, dtype=int) for a, b in zip(low, high))
        for plane in z:  # one plane at a time, because the hull has hundreds of faces
            points = np.stack(np.meshgrid(plane, y, x, indexing="ij"), axis=-1).reshape(-1, 3) * spacing
            outline[plane, y[0] : y[-1] + 1, x[0] : x[-1] + 1] = self.inside(points).reshape(len(y), len(x))
        return outline

    def height(self, point: np.ndarray) -> float:
        """Return the height of a point: 0 at the lower pole, 1 at the upper pole, < 0 or > 1 beyond them."""
        low, high = self.points[:, 0].min(), self.points[:, 0].max()
        return float((point[0] - low) / (high - low))

    def middle(self, height: float) -> np.ndarray:
        """Return the point on the kidney's long axis at ``height``, at least a quarter of its length from each pole."""
        low, high = self.points[:, 0].min(), self.points[:, 0].max()
        z = low + np.clip(height, 0.25, 0.75) * (high - low)
        away = np.abs(self.points[:, 0] - z)
        return np.array([z, *self.points[away <= max(10, away.min())].mean(axis=0)[1:]])

    def passage(self, points: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far, in mm, each point must move in ``direction`` to enter and to leave the hull: (n,) each."""
        speed = self.planes[:, :3] @ direction
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -self._distances(points) / speed[:, None]
        enters = np.where((speed < 0)[:, None], t, -np.inf).max(axis=0)
        leaves = np.where((speed > 0)[:, None], t, np.inf).min(axis=0)
        return enters, leaves

    def _distances(self, points: np.ndarray) -> np.ndarray:
        return self.planes[:, :3] @ points.T + self.planes[:, 3:]


@dataclass(frozen=True)
class Lesion:
    """One tumour or cyst and its position in its kidney.

    Attributes:
        label: 2 tumour, 3 cyst.
        depth: (z, y, x) float32 on a grid of 1 mm: distance to its surface in mm, above 0 inside.
        centre: its centroid, in voxels of ``depth``.
        share: fraction of it inside the convex hull of its kidney, 0 to 1.
        height: height of its centroid, see :meth:`Kidney.height`.
        direction: unit vector from the kidney's middle at that height to the centroid.
        left: whether its kidney is the patient's left one.
    """

    label: int
    depth: np.ndarray
    centre: np.ndarray
    share: float
    height: float
    direction: np.ndarray
    left: bool

    def points(self) -> np.ndarray:
        """Return at most about 1500 of its voxel centres relative to its centroid, (n, 3)."""
        inside = np.argwhere(self.depth > 0)
        return (inside[:: -(-len(inside) // SHARE_POINTS)] - self.centre) * GRID_MM


@dataclass(frozen=True)
class Pose:
    """A pose of a lesion in another scan: rotated, mirrored and scaled by ``matrix`` (3, 3), centroid at ``centre``."""

    matrix: np.ndarray
    centre: np.ndarray

    def depth(self, lesion: Lesion, spacing: np.ndarray, shape: tuple[int, ...]) -> tuple[Box, np.ndarray]:
        """Return the lesion's box in a scan of ``shape``, and ``Lesion.depth`` in this box, in mm of the scan."""
        corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(lesion.depth.shape) - 1)
        reach = ((corners - lesion.centre) * GRID_MM @ self.matrix.T + self.centre) / spacing
        low = np.clip(np.floor(reach.min(axis=0)), 0, shape).astype(int)
        high = np.clip(np.ceil(reach.max(axis=0)) + 1, low, shape).astype(int)
        back = np.linalg.inv(self.matrix) / GRID_MM
        offset = lesion.centre + back @ (low * spacing - self.centre)
        depth = ndi.affine_transform(lesion.depth, back * spacing, offset, tuple(high - low), order=1, cval=-MARGIN_MM)
        return tuple(map(slice, low, high)), depth * np.cbrt(abs(np.linalg.det(self.matrix)))


def find_kidneys(mask: Scan) -> list[Kidney]:
    """Find the kidneys of a KiTS mask: at most two, the largest."""
    return [kidney for _, kidney in _kidneys(mask)]


def find_lesions(mask: Scan) -> list[Lesion]:
    """Find the tumours and cysts of a KiTS mask that have at least 0.5 ml and touch a kidney."""
    return [lesion for label, kidney in _kidneys(mask) for lesion in _lesions(label, mask, kidney)]


def midline(kidneys: Sequence[np.ndarray], scan: Scan) -> float:
    """Estimate the position of the spine, mm along x: between two kidneys, (n, 3) points each, or the scan's middle."""
    if len(kidneys) == 2:
        return float(np.mean([points[:, 2].mean() for points in kidneys]))
    return scan.array.shape[2] * scan.spacing[2] / 2


def candidate_poses(rng: np.random.Generator, lesion: Lesion, kidney: Kidney, count: int) -> Iterator[Pose]:
    """Yield ``count`` poses of ``lesion`` in ``kidney`` with the original fraction inside the convex hull.

    It is scaled by 0.7 to 1.3, mirrored if the kidney is on the other side, turned upside down with probability 0.5,
    and rotated around the kidney's axis by a random angle with a standard deviation of 45 degrees.
    """
    points = lesion.points()
    for _ in range(count):
        flip = rng.choice((-1, 1))
        mirror = np.diag([flip, 1, 1 if kidney.left == lesion.left else -1])
        matrix = rng.uniform(0.7, 1.3) * _turn(rng.normal(0, np.pi / 4)) @ mirror
        direction = matrix @ lesion.direction
        direction /= np.linalg.norm(direction)
        middle = kidney.middle(lesion.height if flip > 0 else 1 - lesion.height)
        t = _push(rng, *kidney.passage(points @ matrix.T + middle, direction), lesion.share)
        yield Pose(matrix, middle + t * direction)


def _kidneys(mask: Scan) -> list[tuple[np.ndarray, Kidney]]:
    """Find the kidneys, each with a mask of its own labels (kidney and lesions), in the bounding box of ``mask``."""
    box = bounding_box(mask.array)
    array, first = mask.array[box], [part.start for part in box]
    parts = cc3d.connected_components(array > 0, connectivity=26)
    voxels = np.bincount(parts[array == KIDNEY])
    largest = np.argsort(-voxels, kind="stable")[:2]
    labels = [array * (parts == part) for part in largest if voxels[part] * mask.voxel_ml >= LEAST_KIDNEY_ML]
    labels = [label for label in labels if min(np.ptp(np.argwhere(label == KIDNEY), axis=0)) > 1]  # not a single slice
    points = [(np.argwhere(label == KIDNEY) + first) * mask.spacing for label in labels]
    middle = midline(points, mask)
    return [
        (label, Kidney(p, np.unique(ConvexHull(p).equations.round(9), axis=0), bool(p[:, 2].mean() > middle)))
        for label, p in zip(labels, points)
    ]


def _lesions(label: np.ndarray, mask: Scan, kidney: Kidney) -> Iterator[Lesion]:
    first = [part.start for part in bounding_box(mask.array)]
    for value in (TUMOUR, CYST):
        parts = cc3d.connected_components(label == value, connectivity=26)
        for part, box in enumerate(ndi.find_objects(parts), start=1):
            lesion = parts[box] == part
            if lesion.sum() * mask.voxel_ml >= LEAST_LESION_ML:
                origin = np.add(first, [side.start for side in box]) * mask.spacing
                yield _lesion(value, lesion, origin, np.array(mask.spacing), kidney)


def _lesion(label: int, lesion: np.ndarray, origin: np.ndarray, spacing: np.ndarray, kidney: Kidney) -> Lesion:
    """The lesion that is a (z, y, x) bool array whose first voxel's centre is at ``origin``."""
    points = np.argwhere(lesion) * spacing + origin
    centroid = points.mean(axis=0)
    height = kidney.height(centroid)
    direction = centroid - kidney.middle(height)
    direction /= max(np.linalg.norm(direction), 1e-3)
    share = float(kidney.inside(points[:: -(-len(points) // SHARE_POINTS)]).mean())
    depth = _depth(lesion, spacing)
    centre = np.argwhere(depth > 0).mean(axis=0)
    return Lesion(label, depth, centre, share, height, direction, kidney.left)


def _depth(lesion: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Compute :attr:`Lesion.depth` of (z, y, x) bool, with a margin. Distances, unlike voxels, interpolate smoothly."""
    margin = np.ceil(MARGIN_MM / spacing).astype(int)
    inside = np.pad(lesion, [(m, m) for m in margin])
    out, into = (ndi.distance_transform_edt(part, sampling=spacing) for part in (~inside, inside))
    # The surface is half-way between the centres of voxels inside and outside.
    half = spacing.min() / 2
    depth = np.where(inside, into - half, half - out).astype(np.float32)
    shape = np.ceil((np.array(depth.shape) - 1) * spacing / GRID_MM).astype(int) + 1
    return ndi.affine_transform(depth, GRID_MM / spacing, output_shape=tuple(shape), order=1, mode="nearest")


def _turn(angle: float) -> np.ndarray:
    """Return the rotation matrix of ``angle`` in the axial plane."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def _push(rng: np.random.Generator, enters: np.ndarray, leaves: np.ndarray, share: float) -> float:
    """Choose how far outwards a lesion is moved, mm: a random distance with about the fraction ``share`` inside."""
    t = np.arange(0.0, max(1.0, leaves.max() + 1), 1.0)
    shares = ((enters <= t[:, None]) & (t[:, None] <= leaves)).mean(axis=1)
    errors = np.abs(shares - share)
    return float(rng.choice(t[errors <= errors.min() + SHARE_TOLERANCE]))
