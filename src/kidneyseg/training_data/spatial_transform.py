"""Spatial augmentation of samples: flip, rotation, scale, shift, elastic deformation."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

ELASTIC = 1  # separates this random stream from that of the noise, which starts from the same seed


@dataclass(frozen=True)
class ElasticField:
    """A smooth random displacement field in plane, drawn from ``seed``.

    It is one plane of the field of MONAI's Rand3DElastic, for which ranges of sigma and magnitude are published: per
    axis, uniform noise from -1 to 1 is blurred by ``sigma`` voxels along z, y and x and multiplied by ``magnitude``.
    The displacements have a standard deviation of ``magnitude / sqrt(3) / (2 sqrt(pi) sigma)^1.5`` voxels (1.6 for
    sigma 4 and magnitude 150).
    """

    sigma: float
    magnitude: float
    seed: int

    def field(self, size: tuple[int, int]) -> np.ndarray:
        """Return (2, y, x) float32: displacements along y and x in voxels."""
        # One plane of noise blurred along z is again uncorrelated noise in plane, with a smaller deviation.
        deviation = self.magnitude / np.sqrt(3 * 2 * np.sqrt(np.pi) * self.sigma)
        noise = np.random.default_rng([self.seed, ELASTIC]).standard_normal((2, *size), dtype=np.float32)
        return np.stack([cv2.GaussianBlur(np.float32(deviation) * plane, (0, 0), self.sigma) for plane in noise])


@dataclass(frozen=True)
class SpatialParams:
    """Parameters of a spatial transform. The defaults change nothing.

    Attributes:
        flips: axes to flip, a subset of "zyx".
        rotate: rotation in degrees, counter-clockwise as displayed.
        scale: zoom factor.
        shift: (y, x), fraction of the image's size.
        elastic: elastic deformation after the other transforms.
    """

    flips: str = ""
    rotate: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    elastic: ElasticField | None = None


class SpatialTransform:
    """A spatial transform for images of one size. All slices get the same in-plane transform.

    Args:
        moves: the parameters.
        size: in-plane size (y, x).
    """

    def __init__(self, moves: SpatialParams, size: tuple[int, int]):
        self.moves, self.size = moves, size
        self.matrix = self._affine()
        self.maps = None if moves.elastic is None else self._maps(moves.elastic.field(size))

    def __call__(self, array: np.ndarray, interpolation: int) -> np.ndarray:
        """Transform ``array``.

        Args:
            array: uint8, (z, y, x) or (y, x); without z a flip of z is ignored.
            interpolation: OpenCV's interpolation flag.

        Returns:
            A new contiguous array of the same shape; voxels from outside the image are 0.
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
        """Return the (2, 3) matrix, in (x, y) pixels, of rotation and scale around the centre and shift, or None."""
        moves = self.moves
        if moves.rotate == 0 and moves.scale == 1 and moves.shift == (0, 0):
            return None
        height, width = self.size
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), moves.rotate, moves.scale)
        matrix[:, 2] += moves.shift[1] * width, moves.shift[0] * height
        return matrix

    def _maps(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each pixel of the result its source coordinates x and y, (y, x) float32 each."""
        y, x = np.indices(self.size, np.float32) + field
        if self.matrix is None:
            return x, y
        (xx, xy, x0), (yx, yy, y0) = cv2.invertAffineTransform(self.matrix).astype(np.float32)
        return xx * x + xy * y + x0, yx * x + yy * y + y0
