"""Random changes of a sample's geometry: mirrored, turned, magnified, shifted, bent."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

ELASTIC = 1  # tells this random stream from the noise, which the same seed begins


@dataclass(frozen=True)
class ElasticField:
    """A smooth random displacement in plane, drawn from ``seed``.

    It is a plane of the field of MONAI's Rand3DElastic, from which published ranges of sigma and magnitude come: per
    axis uniform noise from -1 to 1, blurred by ``sigma`` voxels along z, y and x, times ``magnitude``; displacements
    have a standard deviation of ``magnitude / sqrt(3) / (2 sqrt(pi) sigma)^1.5`` voxels (sigma 4, magnitude 150: 1.6).
    """

    sigma: float
    magnitude: float
    seed: int

    def field(self, size: tuple[int, int]) -> np.ndarray:
        """(2, y, x) float32: displacements along y and x in voxels."""
        # A plane of noise that was blurred along z is plain noise again, weaker.
        deviation = self.magnitude / np.sqrt(3 * 2 * np.sqrt(np.pi) * self.sigma)
        noise = np.random.default_rng([self.seed, ELASTIC]).standard_normal((2, *size), dtype=np.float32)
        return np.stack([cv2.GaussianBlur(np.float32(deviation) * plane, (0, 0), self.sigma) for plane in noise])


@dataclass(frozen=True)
class SpatialParams:
    """The defaults move nothing.

    Attributes:
        flips: axes that are mirrored, of "zyx".
        rotate: degrees, counter-clockwise as displayed.
        scale: magnification.
        shift: (y, x), fraction of the image's size.
        elastic: bends what the others make.
    """

    flips: str = ""
    rotate: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    elastic: ElasticField | None = None


class SpatialTransform:
    """``moves`` made ready for images of ``size`` (y, x): every slice is moved in plane by the same transform."""

    def __init__(self, moves: SpatialParams, size: tuple[int, int]):
        self.moves, self.size = moves, size
        self.matrix = self._affine()
        self.maps = None if moves.elastic is None else self._maps(moves.elastic.field(size))

    def __call__(self, array: np.ndarray, interpolation: int) -> np.ndarray:
        """A new contiguous array of the same shape; what comes from beyond the edges is 0.

        Args:
            array: uint8, (z, y, x) or (y, x), which has no z to mirror.
            interpolation: of OpenCV.
        """
        axes = ["zyx".index(axis) - 3 for axis in self.moves.flips if axis != "z" or array.ndim == 3]
        flipped = np.array(np.flip(array, axes), order="C")
        if self.matrix is None and self.maps is None:
            return flipped
        out = np.empty_like(flipped)
        height, width = self.size
        for source, target in zip(flipped.reshape(-1, height, width), out.reshape(-1, height, width)):
            if self.maps is None:
                cv2.warpAffine(source, self.matrix, (width, height), dst=target, flags=interpolation)
            else:
                cv2.remap(source, *self.maps, interpolation, dst=target)
        return out

    def _affine(self) -> np.ndarray | None:
        """The (2, 3) matrix, in (x, y) pixels, of rotation and scale around the centre and shift; None: nothing."""
        moves = self.moves
        if moves.rotate == 0 and moves.scale == 1 and moves.shift == (0, 0):
            return None
        height, width = self.size
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), moves.rotate, moves.scale)
        matrix[:, 2] += moves.shift[1] * width, moves.shift[0] * height
        return matrix

    def _maps(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the result comes from: x and y, (y, x) float32 each."""
        y, x = np.indices(self.size, np.float32) + field
        if self.matrix is None:
            return x, y
        (xx, xy, x0), (yx, yy, y0) = cv2.invertAffineTransform(self.matrix).astype(np.float32)
        return xx * x + xy * y + x0, yx * x + yy * y + y0
