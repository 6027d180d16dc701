"""Synthetic cases: tumours and cysts of KiTS masks are inserted into the kidneys of real CT."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cc3d
import nibabel as nib
import numpy as np
from scipy import ndimage as ndi

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.simulation.abdomen import CYST, KIDNEY
from kidneyseg.simulation.lesion_texture import ScanLook, coverage, lesion_hu, look_of
from kidneyseg.simulation.lesions import (
    MARGIN_MM,
    Kidney,
    Lesion,
    Pose,
    candidate_poses,
    find_kidneys,
    find_lesions,
    midline,
)
from kidneyseg.simulation.simulated_cohort import write_case
from kidneyseg.volume.box import Box
from kidneyseg.volume.nifti import Scan, read_image, read_mask

BONE_HU, AIR_HU = 180.0, -300.0  # thresholds for the smoothed scan; in a clipped scan the lowest HU is air
FAT_HU = -30.0  # upper threshold of fat in the smoothed scan
MIDLINE_MM = 25.0  # half width of the region of spine, aorta and vena cava around the midline
BLOCKED = 0.03  # maximum fraction of a lesion in a place where none is possible
KIDNEY_LEFT = 0.3  # minimum fraction of a kidney that remains
POSES = 6  # poses tried per lesion
LESIONS = 20  # lesions tried per kidney
ONE_SIDE = 1 / 3  # fraction of the cases with lesions in one kidney only
SECOND = 0.25  # fraction of the kidneys with a lesion that get another one


@dataclass(frozen=True)
class LesionCase:
    """One case to make: a real scan, the masks whose lesions may be inserted, and the folder to write."""

    name: str
    source: Case
    masks: tuple[Path, ...]
    folder: Path
    seed: int


def lesion_case(case: LesionCase) -> None:
    """Insert lesions into a scan and write scan and mask. Skipped if the folder exists. Raises InputError."""
    if case.folder.exists():
        return
    scan, mask = read_image(case.source.image), read_mask(case.source.true_mask_path())
    mask.require_on(scan)
    if mask.array.max() > CYST or not find_kidneys(mask):
        raise InputError(
            mask.path,
            expected="a mask of 1 kidney, 2 tumour, 3 cyst with at least 20 ml of one kidney in 3 slices",
            found=f"{(mask.array == KIDNEY).sum() * mask.voxel_ml:.0f} ml of label 1, labels up to {mask.array.max()}",
            remedy="Leave this case out, or map its labels to these",
        )
    rng = np.random.default_rng([case.seed, zlib.crc32(case.name.encode())])
    hu, label = with_lesions(rng, scan, mask, case.masks)
    write_case(case.folder, hu, label, scan.affine, nib.aff2axcodes(scan.header.get_best_affine()))


def with_lesions(
    rng: np.random.Generator, scan: Scan, mask: Scan, masks: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """Insert lesions of some of ``masks`` into one or both kidneys of ``scan``.

    Returns:
        HU, (z, y, x), in the range and data type of ``scan``, and the labels: a voxel has a lesion's label if the
        lesion fills at least half of it.

    Raises:
        InputError: none of the masks that were drawn has a lesion.
    """
    kidneys = find_kidneys(mask)
    look = look_of(rng, scan, mask.array == KIDNEY)
    hu, label = scan.array.astype(np.float32), mask.array.copy()
    air = max(AIR_HU, float(hu.min()) + 1)
    canvas = _Canvas(hu, label, look, midline([kidney.points for kidney in kidneys], scan), air)
    if rng.random() < ONE_SIDE:
        kidneys = [kidneys[rng.integers(len(kidneys))]]
    for kidney in kidneys:
        outline = kidney.outline(scan.spacing, hu.shape)
        for _ in range(1 + (rng.random() < SECOND)):
            canvas.add_lesion(rng, kidney, outline, masks)
    if np.issubdtype(scan.array.dtype, np.integer):
        hu = np.rint(hu)
    return hu.clip(scan.array.min(), scan.array.max()).astype(scan.array.dtype), label


@dataclass(frozen=True)
class _Fit:
    """A possible pose of a lesion.

    Attributes:
        cost: fraction of the lesion that replaces other organs.
        box: box of the lesion in the scan.
        depth: (z, y, x) of ``box``, distance to the lesion's surface in mm, above 0 inside.
        free: (z, y, x) bool of ``box``, voxels that the lesion may overwrite.
    """

    cost: float
    box: Box
    depth: np.ndarray
    free: np.ndarray


@dataclass(frozen=True)
class _Canvas:
    """A scan into which lesions are inserted: ``hu`` (z, y, x) float32 and ``label``, both changed in place."""

    hu: np.ndarray
    label: np.ndarray
    look: ScanLook
    midline: float  # mm along x
    air: float  # HU below which there is no tissue

    def add_lesion(self, rng: np.random.Generator, kidney: Kidney, outline: np.ndarray, masks: Sequence[Path]) -> None:
        """Insert one lesion into ``kidney``: the first random lesion that has a possible pose, in its best pose."""
        for lesion in _draw(rng, masks):
            poses = candidate_poses(rng, lesion, kidney, POSES)
            fits = [fit for pose in poses if (fit := self._fit(pose, lesion, kidney, outline))]
            if fits:
                self._paint(rng, lesion, min(fits, key=lambda fit: fit.cost))
                return

    def _fit(self, pose: Pose, lesion: Lesion, kidney: Kidney, outline: np.ndarray) -> _Fit | None:
        """Rate a pose; None if bone, air, the midline, another lesion or the scan's border makes it impossible."""
        box, depth = pose.depth(lesion, self.look.spacing, self.hu.shape)
        inside = depth > 0
        volume = inside.sum()
        if not volume or inside[1:-1, 1:-1, 1:-1].sum() < volume:
            return None
        label, within = self.label[box], outline[box]
        smooth = ndi.gaussian_filter(self.hu[box], 1.5 / self.look.spacing)
        x = np.arange(box[2].start, box[2].stop) * self.look.spacing[2]
        hard = (smooth > BONE_HU) | (smooth < self.air) | (np.abs(x - self.midline) < MIDLINE_MM)
        free = (within | (label == KIDNEY) | ~hard) & (label <= KIDNEY)
        body = cc3d.largest_k((inside & free).astype(np.uint8), k=1, connectivity=6) > 0
        blocked = 1 - body.sum() / volume
        left = (self.label[outline] == KIDNEY).sum() - (body & (label == KIDNEY)).sum()
        if blocked > BLOCKED or left < KIDNEY_LEFT * len(kidney.points):
            return None
        organs = (body & ~within & (smooth > FAT_HU)).sum() / volume
        return _Fit(float(organs), box, np.where(inside & ~body, -MARGIN_MM, depth), free)

    def _paint(self, rng: np.random.Generator, lesion: Lesion, fit: _Fit) -> None:
        filled = coverage(fit.depth, self.look.spacing) * fit.free
        hu = self.hu[fit.box]
        hu += filled * (lesion_hu(rng, lesion.label, fit.depth, self.look) - hu)
        self.label[fit.box][filled >= 0.5] = lesion.label


def _draw(rng: np.random.Generator, masks: Sequence[Path]) -> Iterator[Lesion]:
    """Yield lesions of random masks, each mask with the same probability."""
    drawn = [masks[index] for index in rng.integers(len(masks), size=LESIONS)]
    if not any(_lesions(path) for path in drawn):
        raise InputError(
            masks[0].parent.parent,
            expected="masks with tumours (2) or cysts (3) of at least 0.5 ml",
            found=f"none in {len(set(drawn))} masks",
            remedy="Give KiTS masks with lesions",
        )
    for path in drawn:
        if lesions := _lesions(path):
            yield lesions[rng.integers(len(lesions))]


@lru_cache(maxsize=256)
def _lesions(path: Path) -> list[Lesion]:
    return find_lesions(read_mask(path))
