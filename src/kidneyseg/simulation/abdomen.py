"""SimKiTS: contrast-enhanced abdominal CT simulated around kidney masks.

The KiTS masks are small and public, but the KiTS scans are large. This module makes a scan around each mask: the real
kidneys, tumours and cysts with simulated Hounsfield units, and an abdomen of simple shapes. The same mask, spacing and
seed always give the same voxels.

Tissue means (HU) follow published contrast-enhanced values: cortex 160-230, medulla 20-110 lower, clear-cell carcinoma
about 90-180, papillary and chromophobe 40-95, cyst 0-20, liver 100-130, spleen 110-150, muscle 45-65, fat -110 to
-90, aorta 140-220. Noise SD is 12-28 HU, correlated in plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from scipy import ndimage as ndi

from kidneyseg.volume.axes import PerAxis, per_axis

KIDNEY, TUMOUR, CYST = 1, 2, 3


@dataclass(frozen=True)
class Tissue:
    """Ranges of mean HU, each drawn uniformly once per scan (tumours and cysts: once per lesion)."""

    cortex: tuple[float, float] = (160, 230)
    medulla_below_cortex: tuple[float, float] = (20, 110)
    bright_tumour: tuple[float, float] = (90, 180)
    dim_tumour: tuple[float, float] = (40, 95)
    bright_share: float = 0.65
    cyst: tuple[float, float] = (0, 20)


def simulate(
    label: np.ndarray, spacing: Sequence[float], seed: int | Sequence[int], tissue: Tissue = Tissue()
) -> np.ndarray:
    """Simulate a CT around the kidneys of ``label``.

    Args:
        label: (z, y, x) uint8: 1 kidney, 2 tumour, 3 cyst, at least one voxel set; y is the patient's front-back axis
            in either direction (the back is the side of the kidneys), x grows to the patient's left.
        spacing: mm, (z, y, x).
        seed: seed of the random generator. Its draws are a fixed sequence, so their order below must not change.
        tissue: ranges of the mean HU.

    Returns:
        (z, y, x) int16, HU from -1024 to 3071.
    """
    mm = np.asarray(spacing, float)
    rng = np.random.default_rng(seed)
    hu = _Abdomen(rng, label, mm).paint()
    _paint_kidneys(rng, label, mm, hu, tissue)
    hu = ndi.gaussian_filter(hu, [0.6 / mm[0], 0.9 / mm[1], 0.9 / mm[2]])  # partial volume
    sd = rng.uniform(12, 28)
    noise = rng.standard_normal(label.shape).astype(np.float32)
    noise = ndi.gaussian_filter(noise, [0, 0.6, 0.6])
    hu += sd * noise / noise.std()
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


def smooth_field(
    rng: np.random.Generator, shape: Sequence[int], spacing: Iterable[float], scale_mm: float
) -> np.ndarray:
    """Make a Gaussian random field, (z, y, x) float32, mean 0, variance 1, with correlation length ``scale_mm``."""
    coarse = [max(2, int(np.ceil(n * s / scale_mm)) + 2) for n, s in zip(shape, spacing)]
    field = rng.standard_normal(coarse).astype(np.float32)
    field = ndi.zoom(field, [n / c for n, c in zip(shape, coarse)], order=1)[: shape[0], : shape[1], : shape[2]]
    return (field - field.mean()) / (field.std() + 1e-6)


def resample_labels(
    label: np.ndarray, spacing: Sequence[float], target: Sequence[float]
) -> tuple[np.ndarray, PerAxis[float]]:
    """Resample (z, y, x) labels to about ``target`` mm by nearest neighbours; returns them and their exact spacing, mm.

    Do not change the arithmetic, which defines SimKiTS: an equivalent formula may round ties to the other neighbour.
    """
    shape = [max(1, round(n * s / t)) for n, s, t in zip(label.shape, spacing, target)]
    index = [
        np.clip(np.rint((np.arange(m) + 0.5) * n / m - 0.5).astype(int), 0, n - 1) for m, n in zip(shape, label.shape)
    ]
    return label[np.ix_(*index)], per_axis(n * s / m for n, s, m in zip(label.shape, spacing, shape))


def _ellipsoid(axes: Sequence[np.ndarray], centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Compute the squared distance from ``centre`` in units of ``radii``, < 1 inside. Two axes give a column in z."""
    return reduce(add, (((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii)))


def _paint_kidneys(
    rng: np.random.Generator, label: np.ndarray, spacing: np.ndarray, hu: np.ndarray, tissue: Tissue
) -> None:
    """Write cortex, medulla, tumours and cysts of ``label`` into ``hu``."""
    depth = _depth(label > 0, spacing).astype(np.float32)
    cortex = rng.uniform(*tissue.cortex)
    medulla = cortex - rng.uniform(*tissue.medulla_below_cortex)
    wobble = smooth_field(rng, label.shape, spacing, 12)
    is_medulla = (depth + 1.5 * wobble) > rng.uniform(5, 8)
    kidney = label == KIDNEY
    hu[kidney] = np.where(is_medulla, medulla, cortex)[kidney] + 8 * wobble[kidney]
    texture = smooth_field(rng, label.shape, spacing, 9)
    for lesion in _lesions(label, TUMOUR):
        hu[lesion] = _tumour(rng, lesion, spacing, texture, wobble, tissue)
    for lesion in _lesions(label, CYST):
        hu[lesion] = rng.uniform(*tissue.cyst) + 3 * texture[lesion]


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Compute the distance to the outside of ``mask`` in mm, inside the mask's box with a margin of one voxel."""
    box = ndi.find_objects(mask.astype(np.uint8))[0]
    box = tuple(slice(max(b.start - 1, 0), b.stop + 1) for b in box)
    depth = np.zeros(mask.shape)
    depth[box] = ndi.distance_transform_edt(mask[box], sampling=spacing)
    return depth


def _lesions(label: np.ndarray, value: int) -> Iterator[np.ndarray]:
    """Yield the connected components of one label, as boolean masks."""
    parts, count = ndi.label(label == value)
    for part in range(1, count + 1):
        yield parts == part


def _tumour(
    rng: np.random.Generator,
    lesion: np.ndarray,
    spacing: np.ndarray,
    texture: np.ndarray,
    wobble: np.ndarray,
    tissue: Tissue,
) -> np.ndarray:
    """Make the HU of one tumour's voxels: bright or dim, and often with a necrotic core."""
    mean = rng.uniform(*(tissue.bright_tumour if rng.random() < tissue.bright_share else tissue.dim_tumour))
    values = mean + rng.uniform(8, 30) * texture[lesion]
    depth = _depth(lesion, spacing)[lesion]
    if rng.random() < 0.55 and depth.max() > 8:
        core = depth + 3 * wobble[lesion] > depth.max() * rng.uniform(0.45, 0.75)
        values[core] = rng.uniform(5, 45) + 6 * texture[lesion][core]
    return values


class _Abdomen:
    """Air, body wall, fat and organs around the kidneys, written one over the other in HU; lengths are mm.

    Organs never overwrite the kidneys: the voxels next to the kidneys keep their earlier value.
    """

    def __init__(self, rng: np.random.Generator, label: np.ndarray, spacing: np.ndarray):
        self.rng = rng
        shape = label.shape
        size = np.array(shape) * spacing
        axes = [np.arange(n, dtype=np.float32) * s for n, s in zip(shape, spacing)]
        self.axes = np.meshgrid(*axes, indexing="ij", sparse=True)
        where = np.argwhere(label > 0) * spacing
        self.low, self.high = where.min(0), where.max(0)
        self.x = size[2] / 2
        # y may grow to the front or to the back; the back is the side of the kidneys.
        kidneys_y = (self.low[1] + self.high[1]) / 2
        self.y = size[1] / 2
        self.back = 1.0 if kidneys_y > self.y else -1.0
        rx = max(self.high[2] - self.x, self.x - self.low[2]) + rng.uniform(30, 55)
        ry = max(abs(self.high[1] - self.y), abs(self.y - self.low[1])) + rng.uniform(30, 50)
        self.rx = min(rx, size[2] * 0.49)
        self.ry = min(max(ry, 0.6 * self.rx), size[1] * 0.49)
        self._lay_trunk(shape, spacing)
        self.fine = smooth_field(rng, shape, spacing, 6)
        self.free = self.body & ~ndi.binary_dilation(label > 0, iterations=1)
        self.spacing = spacing

    def _lay_trunk(self, shape: Sequence[int], spacing: np.ndarray) -> None:
        """Write air, subcutaneous fat, muscle wall and the fat-filled cavity, one inside the other."""
        rng = self.rng
        wobble = smooth_field(rng, shape, spacing, 60)
        r2 = ((self.axes[2] - self.x) / self.rx) ** 2 + ((self.axes[1] - self.y) / self.ry) ** 2 + 0.02 * wobble
        self.hu = np.full(shape, -1000, np.float32)
        self.body = r2 < 1
        self.hu[self.body] = -105
        wall = rng.uniform(0.78, 0.9)
        self.hu[r2 < wall**2] = rng.uniform(45, 65)
        self.cavity = r2 < (wall - rng.uniform(0.06, 0.1)) ** 2
        self.hu[self.cavity] = -98

    def paint(self) -> np.ndarray:
        """Write all organs; returns (z, y, x) float32 HU."""
        self._spine_and_muscles()
        self._vessels()
        # Liver and spleen are at one end of the kidneys, chosen at random, because z may grow to the head or the feet.
        top = self.low[0] if self.rng.random() < 0.5 else self.high[0]
        blob = smooth_field(self.rng, self.hu.shape, self.spacing, 45)
        self._upper_organs(top, blob)
        for _ in range(self.rng.integers(10, 18)):
            self._bowel_loop(blob)
        fat = self.cavity & self.free
        self.hu[fat] += 5 * self.fine[fat]
        return self.hu

    def _put(self, mask: np.ndarray, value: float, texture: float = 6.0) -> None:
        mask = mask & self.free
        self.hu[mask] = value + texture * self.fine[mask]

    def _column(self, y: float, x: float, radii: tuple[float, float]) -> np.ndarray:
        """Make an elliptic column along z, ``y`` mm behind the spine's centre and ``x`` mm left of the midline."""
        spine = self.y + self.back * self.ry * 0.52
        return _ellipsoid(self.axes[1:], (spine + self.back * y, self.x + x), radii)

    def _spine_and_muscles(self) -> None:
        rng = self.rng
        for y, radii, hu in ((12, (26, 30), (45, 62)), (-8, (19, 15), (50, 68))):  # erector spinae, psoas
            for side in (-1, 1):
                self._put(self._column(y, side * (38 if y > 0 else 36), radii) < 1, rng.uniform(*hu))
        z = self.axes[0]
        disc = np.sin(2 * np.pi * (z + rng.uniform(0, 30)) / rng.uniform(28, 34)) > 0.86
        vertebra = self._column(-2, 0, (20, 25))
        self._put(vertebra < 1, rng.uniform(380, 600), 20)
        self._put(vertebra < 0.8, rng.uniform(150, 240), 18)
        self._put((vertebra < 1) & disc, rng.uniform(70, 100))
        self._put(self._column(24, 0, (8, 9)) < 1, 25)  # spinal canal

    def _vessels(self) -> None:
        self._put(self._column(-34, 12, (10, 10)) < 1, self.rng.uniform(140, 220), 3)  # aorta
        self._put(self._column(-32, -18, (9, 12)) < 1, self.rng.uniform(95, 160), 3)  # vena cava

    def _upper_organs(self, top: float, blob: np.ndarray) -> None:
        """Write liver, spleen and gallbladder."""
        rng, rx, ry = self.rng, self.rx, self.ry

        def organ(z: float, y: float, x: float, radii: Sequence[float]) -> np.ndarray:
            return _ellipsoid(self.axes, (top + z, self.y + self.back * y, self.x + x), radii)

        self._put(organ(0, -12, -rx * 0.42, (95, ry * 0.68, rx * 0.52)) + 0.12 * blob < 1, rng.uniform(95, 130))
        self._put(organ(0, 6, rx * 0.55, (60, ry * 0.42, rx * 0.25)) + 0.12 * blob < 1, rng.uniform(105, 150))
        self._put(organ(25, -ry * 0.3, -rx * 0.25, (25, 17, 17)) < 1, rng.uniform(5, 20), 2)

    def _bowel_loop(self, blob: np.ndarray) -> None:
        """Write a bowel loop: a wall around gas, contrast medium or fluid."""
        rng = self.rng
        z = rng.uniform(self.low[0] - 40, self.high[0] + 60)
        y = self.y - self.back * rng.uniform(0.0, 0.62) * self.ry
        x = self.x + rng.uniform(-0.68, 0.68) * self.rx
        radius = rng.uniform(11, 24)
        radii = (radius * rng.uniform(1, 2.4), radius, radius * rng.uniform(1, 1.8))
        loop = _ellipsoid(self.axes, (z, y, x), radii) + 0.15 * blob
        self._put(loop < 1, rng.uniform(60, 110))
        kind = rng.random()
        self._put(loop < 0.6, -880 if kind < 0.25 else rng.uniform(180, 320) if kind < 0.4 else rng.uniform(0, 45), 8)
