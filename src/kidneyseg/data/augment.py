"""Random changes of training samples: drawn first, applied after, so that a draw can be repeated exactly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kidneyseg.recipe import Augment, Intensity
from kidneyseg.volume.intensity import moments


@dataclass(frozen=True)
class Draw:
    """One sample's changes; the defaults change nothing.

    Attributes:
        flips: mirror along y, along x.
        rotate: degrees, counter-clockwise as displayed.
        scale: magnification.
        shift: (y, x), fraction of the image's size.
        gamma, contrast, brightness: of the intensity, see :meth:`Augmentation.apply`.
        blur: sigma in voxels, in plane.
        noise: standard deviation, in standard deviations of the normalised image.
        noise_seed: of the noise's own generator.
    """

    flips: tuple[bool, bool] = (False, False)
    rotate: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    gamma: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0


class Augmentation:
    """Augmentation and normalisation of 8-bit samples.

    Args:
        spec: ranges and probabilities.
        intensity: says what mean and standard deviation normalise an image.
    """

    def __init__(self, spec: Augment, intensity: Intensity):
        self.spec, self.intensity = spec, intensity

    def draw(self, rng: np.random.Generator) -> Draw:
        """Changes for one sample; each but the flips is there with ``spec.probability``."""
        spec = self.spec

        def around(centre: float, half_range: float) -> float:
            offset = rng.uniform(-half_range, half_range)
            return centre + offset if rng.random() < spec.probability else centre

        return Draw(
            flips=(rng.random() < spec.flip, rng.random() < spec.flip),
            rotate=around(0, spec.rotate),
            scale=around(1, spec.scale),
            shift=(around(0, spec.shift), around(0, spec.shift)),
            gamma=around(1, spec.gamma),
            contrast=around(1, spec.contrast),
            brightness=around(0, spec.brightness),
            blur=abs(around(0, spec.blur)),
            noise=abs(around(0, spec.noise)),
            noise_seed=int(rng.integers(2**31)),
        )

    def apply(self, image: np.ndarray, label: np.ndarray, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """The changed sample.

        Geometry moves image (linear, air outside) and label (nearest, background outside) alike, every slice of a
        volume by the same in-plane transform. Gamma acts on the 0-1 range of the clipped HU, contrast and brightness
        on the normalised image (contrast around the mean); with normalisation they are one table of 256 values.

        Args:
            image: uint8, (z, y, x), (y, x), or (channels, y, x) of a stack of slices.
            label: uint8, same shape; (y, x) of a stack.

        Returns:
            image: float32, normalised; label: uint8. New arrays of the same shapes.
        """
        matrix = _matrix(draw, image.shape[-2:])
        image, label = (_move(array, draw, matrix, how) for array, how in
                        ((image, cv2.INTER_LINEAR), (label, cv2.INTER_NEAREST)))
        changed = self._table(draw, *moments(image, self.intensity))[image]
        if draw.blur > 0:
            for plane in changed.reshape(-1, *changed.shape[-2:]):
                cv2.GaussianBlur(plane, (0, 0), draw.blur, dst=plane)
        if draw.noise > 0:
            noise = np.random.default_rng(draw.noise_seed).standard_normal(changed.shape, dtype=np.float32)
            changed += np.float32(draw.noise) * noise
        return changed, label

    def _table(self, draw: Draw, mean: float, std: float) -> np.ndarray:
        """What each of the 256 grey values becomes."""
        grey = 255 * (np.arange(256) / 255) ** draw.gamma
        normalised = (grey - mean) / std
        return (normalised * draw.contrast + draw.brightness).astype(np.float32)


def _matrix(draw: Draw, size: tuple[int, int]) -> np.ndarray | None:
    """The (2, 3) matrix, in (x, y) pixels, of rotation and scale around the centre and shift; None if it is nothing."""
    if draw.rotate == 0 and draw.scale == 1 and draw.shift == (0, 0):
        return None
    height, width = size
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), draw.rotate, draw.scale)
    matrix[:, 2] += draw.shift[1] * width, draw.shift[0] * height
    return matrix


def _move(array: np.ndarray, draw: Draw, matrix: np.ndarray | None, interpolation: int) -> np.ndarray:
    """``array`` flipped and moved in plane, as a new contiguous array."""
    axes = [axis for axis, flip in zip((-2, -1), draw.flips) if flip]
    array = np.ascontiguousarray(np.flip(array, axes))
    if matrix is None:
        return array.copy() if not axes else array
    out = np.empty_like(array)
    height, width = array.shape[-2:]
    for source, target in zip(array.reshape(-1, height, width), out.reshape(-1, height, width)):
        cv2.warpAffine(source, matrix, (width, height), dst=target, flags=interpolation)
    return out
