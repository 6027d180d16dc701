"""Random augmentation of training samples. Parameters are drawn first and applied later, so a draw is repeatable."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kidneyseg.recipe import Augment, Intensity
from kidneyseg.recipe.training import Range
from kidneyseg.training_data.spatial_transform import ElasticField, SpatialParams, SpatialTransform
from kidneyseg.volume.contrast_phase import NAMES, Phase, change_phase, draw_phase
from kidneyseg.volume.intensity import moments

GREY = np.arange(256)
PHASE = 2  # separates this random stream from that of the noise, which starts from the same seed


@dataclass(frozen=True)
class IntensityParams:
    """Parameters of an intensity change. The defaults change nothing.

    Attributes:
        gamma: exponent of the clipped HU, scaled to 0-1; applied first.
        contrast: factor of the normalised image, around its mean.
        brightness: added to the normalised image.
    """

    gamma: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0

    def __call__(self, grey: np.ndarray, mean: float, std: float) -> np.ndarray:
        """Change grey values (0-255) and normalise them with ``mean`` and ``std``. Returns float64, same shape."""
        return (255 * (grey / 255) ** self.gamma - mean) / std * self.contrast + self.brightness


@dataclass(frozen=True)
class AugmentParams:
    """Augmentation parameters of one sample. The defaults change nothing.

    Attributes:
        moves: spatial transform.
        tone: intensity change of the whole image.
        lesion: intensity change inside ``Augment.lesion.classes``, applied before ``tone``.
        equalise: whether the histogram is equalised.
        blur: sigma of the in-plane blur, voxels.
        noise: standard deviation of the noise, in standard deviations of the normalised image.
        noise_seed: seed of the noise.
        phase: contrast phase that the sample is changed to.
        saturation: HU at which the image is clipped from above.
    """

    moves: SpatialParams = SpatialParams()
    tone: IntensityParams = IntensityParams()
    lesion: IntensityParams = IntensityParams()
    equalise: bool = False
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    phase: Phase | None = None
    saturation: float = np.inf


class Augmentation:
    """Augmentation and normalisation of 8-bit samples.

    Args:
        spec: ranges and probabilities.
        intensity: normalisation of the image.
    """

    def __init__(self, spec: Augment, intensity: Intensity):
        self.spec, self.intensity = spec, intensity
        self.inside = np.isin(GREY, spec.lesion.classes)

    def draw(self, rng: np.random.Generator) -> AugmentParams:
        """Draw the parameters for one sample, each change with its probability."""
        spec = self.spec

        def sometimes(value: float, otherwise: float) -> float:
            return value if rng.random() < spec.probability else otherwise

        def around(half_range: float) -> float:
            return sometimes(rng.uniform(-half_range, half_range), 0.0)

        def factor(of: Range) -> float:
            return sometimes(rng.uniform(*of) if isinstance(of, tuple) else 1 + rng.uniform(-of, of), 1.0)

        # The draws of a seed depend on the order of these lines: add new lines at the end.
        flips = "".join(axis for axis in spec.flip_axes if rng.random() < spec.flip)
        rotate, scale = around(spec.rotate), factor(spec.scale)
        shift = around(spec.shift), around(spec.shift)
        tone = IntensityParams(factor(spec.gamma), factor(spec.contrast), around(spec.brightness))
        blur, noise, seed = abs(around(spec.blur)), abs(around(spec.noise)), int(rng.integers(2**31))
        bend = ElasticField(rng.uniform(*spec.elastic.sigma), rng.uniform(*spec.elastic.magnitude), seed)
        elastic = bend if rng.random() < spec.elastic.probability else None
        lesion = IntensityParams(
            factor(spec.lesion.gamma), factor(spec.lesion.contrast), around(spec.lesion.brightness)
        )
        equalise = rng.random() < spec.equalise
        saturated, limit = rng.random() < spec.saturation.probability, rng.uniform(*spec.saturation.hu)
        return AugmentParams(
            moves=SpatialParams(flips, rotate, scale, shift, elastic),
            tone=tone,
            lesion=lesion,
            equalise=equalise,
            blur=blur,
            noise=noise,
            noise_seed=seed,
            phase=self._phase(rng),
            saturation=limit if saturated else np.inf,
        )

    def _phase(self, rng: np.random.Generator) -> Phase | None:
        place = rng.random()
        for name in NAMES:
            place -= getattr(self.spec.phases, name)
            if place < 0:
                return draw_phase(name, rng)
        return None

    def apply(self, image: np.ndarray, label: np.ndarray, draw: AugmentParams) -> tuple[np.ndarray, np.ndarray]:
        """Apply ``draw`` to a sample and normalise the image.

        The order is: contrast phase (before voxels are moved out of the image), ``SpatialTransform``, saturation,
        histogram equalisation of the whole image, the two intensity changes, blur, noise. Each intensity change is one
        table of 256 values together with the normalisation.

        Args:
            image: uint8, (z, y, x) for a volume or a stack of slices, or (y, x) for a slice.
            label: uint8, shape of the image; for a stack (y, x), the labels of its middle slice. They mark the lesions
                in all slices of the stack.
            draw: the parameters.

        Returns:
            image: float32, normalised; label: uint8. New arrays of the same shapes.
        """
        if draw.phase:
            image = self._phased(image, label, draw.phase, draw.noise_seed)
        height, width = image.shape[-2:]
        move = SpatialTransform(draw.moves, (height, width))
        image, label = move(image, cv2.INTER_LINEAR), move(label, cv2.INTER_NEAREST)
        if np.isfinite(draw.saturation):
            image = np.minimum(image, self._grey(draw.saturation))
        if draw.equalise:
            image = cv2.equalizeHist(_flat(image)).reshape(image.shape)
        mean, std = moments(image, self.intensity)
        changed = self._toned(image, label, draw, mean, std)
        if draw.blur > 0:
            for plane in changed.reshape(-1, *changed.shape[-2:]):
                cv2.GaussianBlur(plane, (0, 0), draw.blur, dst=plane)
        if draw.noise > 0:
            noise = np.random.default_rng(draw.noise_seed).standard_normal(changed.shape, dtype=np.float32)
            changed += np.float32(draw.noise) * noise
        if self.spec.clip:
            low, high = IntensityParams()(GREY[[0, -1]], mean, std)
            np.clip(changed, np.float32(low), np.float32(high), out=changed)
        return changed, label

    def _phased(self, image: np.ndarray, label: np.ndarray, phase: Phase, seed: int) -> np.ndarray:
        low, high = self.intensity.clip
        kidney = np.broadcast_to(label > 0, image.shape)
        hu = image.astype(np.float32) * ((high - low) / 255) + low
        return self._grey(change_phase(hu, kidney, phase, np.random.default_rng([seed, PHASE])))

    def _grey(self, hu: np.ndarray | float) -> np.ndarray:
        """Convert HU to the 8-bit values of the stage's HU range."""
        low, high = self.intensity.clip
        return np.rint((np.clip(hu, low, high) - low) * (255 / (high - low))).astype(np.uint8)

    def _toned(self, image: np.ndarray, label: np.ndarray, draw: AugmentParams, mean: float, std: float) -> np.ndarray:
        changed = _look_up(draw.tone(GREY, mean, std).astype(np.float32), image)
        if draw.lesion != IntensityParams():
            grey = np.clip(draw.lesion(GREY, mean, std) * std + mean, 0, 255)
            inside = _look_up(self.inside.astype(np.uint8), label).view(bool)
            np.copyto(changed, _look_up(draw.tone(grey, mean, std).astype(np.float32), image), where=inside)
        return changed


def _flat(array: np.ndarray) -> np.ndarray:
    """Reshape to 2-D, with the rows of all slices one below the other, as OpenCV needs it."""
    return array.reshape(-1, array.shape[-1])


def _look_up(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return ``table[image]``, several times faster than NumPy."""
    return cv2.LUT(_flat(image), table).reshape(image.shape)
