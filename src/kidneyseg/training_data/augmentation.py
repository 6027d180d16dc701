"""Random changes of training samples: drawn first, applied after, so that a draw can be repeated exactly."""

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
PHASE = 2  # tells this random stream from the noise, which the same seed begins


@dataclass(frozen=True)
class IntensityParams:
    """A change of intensity: ``gamma`` of the 0-1 range of the clipped HU, then ``contrast`` around the mean and
    ``brightness`` of the normalised image. The default changes nothing."""

    gamma: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0

    def __call__(self, grey: np.ndarray, mean: float, std: float) -> np.ndarray:
        """Grey values in 0-255 -> float64 of the same shape, normalised with ``mean`` and ``std`` and changed."""
        return (255 * (grey / 255) ** self.gamma - mean) / std * self.contrast + self.brightness


@dataclass(frozen=True)
class AugmentParams:
    """One sample's changes; the defaults change nothing.

    Attributes:
        moves: of the geometry.
        tone, lesion: of the whole intensity, and first of that in ``Augment.lesion.classes``.
        equalise: the histogram.
        blur: sigma in voxels, in plane.
        noise: standard deviation, in standard deviations of the normalised image.
        noise_seed: of the noise's own generator.
        phase: the contrast phase that the sample is changed into.
        saturation: HU above which all is cut off to it.
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
        intensity: how the image is normalised.
    """

    def __init__(self, spec: Augment, intensity: Intensity):
        self.spec, self.intensity = spec, intensity
        self.inside = np.isin(GREY, spec.lesion.classes)

    def draw(self, rng: np.random.Generator) -> AugmentParams:
        """Changes for one sample, each with its probability."""
        spec = self.spec

        def sometimes(value: float, otherwise: float) -> float:
            return value if rng.random() < spec.probability else otherwise

        def around(half_range: float) -> float:
            return sometimes(rng.uniform(-half_range, half_range), 0.0)

        def factor(of: Range) -> float:
            return sometimes(rng.uniform(*of) if isinstance(of, tuple) else 1 + rng.uniform(-of, of), 1.0)

        # What a seed draws stays the same as long as the order of these lines does: new ones go to the end.
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
        """The changed sample.

        The contrast phase comes first, while image and label are whole, then the `SpatialTransform`; then
        saturation, histogram equalisation of the whole image at once, the two changes of tone, which with normalisation
        are one table of 256 values each, blur and noise.

        Args:
            image: uint8, (z, y, x) of a volume or a stack of slices, or (y, x).
            label: uint8, the image's shape; of a stack (y, x), the labels of its middle slice, which say for all its
                slices where a lesion is.

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
        """HU as the 8-bit values of the stage's range."""
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
    """All rows of all slices under each other, the kind of image that OpenCV works on."""
    return array.reshape(-1, array.shape[-1])


def _look_up(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    """``table[image]``, several times as fast."""
    return cv2.LUT(_flat(image), table).reshape(image.shape)
