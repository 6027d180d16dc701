"""Plausibility checks of a CT of the abdomen, its mask and its segmentation.

Functions called ``require_...`` raise InputError for certain errors. Those called ``..._doubts`` return InputErrors for
likely errors: predict, prepare and eval warn of them, ``kidneyseg cohort check`` lists them as faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cc3d
import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from kidneyseg.errors import InputError
from kidneyseg.volume.box import bounding_box

POSSIBLE_MM = (0.05, 50.0)  # spacing in metres or micrometres (a factor of 1000) is outside for every scanner
USUAL_MM = (0.1, 10.0)
MOST_VOXELS = 8192  # along an axis: 2 m at 0.25 mm
BODY_ABOVE = -200  # HU; even fat is above
REPEATED_HU = (-200, 300)  # HU window in which phases are compared
KIDNEY, TUMOUR = 1, 2
MOST_KIDNEY_ML = 900  # both kidneys, without tumours, have about 300 to 400 ml


def require_size(path: Path, shape: Sequence[int]) -> None:
    """Raise InputError if no CT has ``shape`` (any axis order), before memory is allocated for it."""
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape) < 1:
        raise InputError(
            path,
            expected="one 3-D volume",
            found=f"shape {tuple(shape)}",
            remedy="Split a series into one file per volume",
        )
    if max(shape) > MOST_VOXELS:
        raise InputError(
            path,
            expected=f"at most {MOST_VOXELS} voxels along an axis",
            found=f"shape {tuple(shape)}",
            remedy="Copy or download it again: its header is damaged",
        )


def require_bytes(path: Path, shape: Sequence[int], wanted: float, most: int) -> None:
    """Raise InputError if a file with at most ``most`` bytes cannot have the ``wanted`` bytes of its header."""
    if not wanted <= most:
        raise InputError(
            path,
            expected=f"the voxels of its header, {tuple(shape)}, {wanted:g} bytes",
            found=f"a broken file that holds at most {most}",
            remedy="Copy or download it again: it is truncated, or its header is damaged",
        )


def require_no_more(path: Path, shape: Sequence[int], surplus: int, plane: int) -> None:
    """Raise InputError if a file has ``surplus`` bytes after its voxels, and this is at least one ``plane``."""
    if surplus >= max(plane, 1):
        raise InputError(
            path,
            expected=f"the voxels of its header, {tuple(shape)}",
            found=f"{surplus} bytes more, at least one more slice",
            remedy="Convert it again: its header and its voxels do not belong together",
        )


def require_spacing(path: Path, spacing: Sequence[float]) -> None:
    """Raise InputError if no CT has ``spacing`` in mm."""
    _raise(_spacing(path, spacing, POSSIBLE_MM))


def spacing_doubts(path: Path, spacing: Sequence[float]) -> list[InputError]:
    """List the doubts about ``spacing`` in mm, (z, y, x)."""
    return _spacing(path, spacing, USUAL_MM)


def affine_doubts(path: Path, header: nib.Nifti1Header) -> list[InputError]:
    """List the doubts about an affine whose sform and qform differ by more than half a voxel.

    A sheared sform (gantry tilt) is not checked, because no qform can represent it.
    """
    sform = header.get_sform(coded=True)[0]
    if sform is None or header["qform_code"] == 0 or _is_sheared(sform):
        return []
    found = _disagreement(header, sform)
    return (
        []
        if found is None
        else [
            InputError(
                path,
                expected="an sform and a qform that agree",
                found=f"{found}; the sform is used",
                remedy="Set the wrong one to the other, or convert the scan again from its DICOM files",
            )
        ]
    )


def require_hounsfield(path: Path, low: float, high: float) -> None:
    """Raise InputError if values from ``low`` to ``high`` cannot be those of a body in HU.

    Scans clipped to a window such as [-79, 304] are accepted, because they still have values below 0 (fat).
    """
    if high < BODY_ABOVE:
        raise InputError(
            path,
            expected=f"a body in HU, with values above {BODY_ABOVE}",
            found=f"values from {low:g} to {high:g}, only air",
            remedy="Convert the scan again from its DICOM files",
        )
    if low >= 0:
        offset = high > 1000
        raise InputError(
            path,
            expected="HU, which are below 0 in fat and air",
            found=f"values from {low:g} to {high:g}",
            remedy="Subtract 1024 if the rescale intercept was lost"
            if offset
            else "Convert the scan again from its DICOM files: a window or a percentage is not in HU",
        )


def intensity_doubts(path: Path, array: np.ndarray) -> list[InputError]:
    """List the doubts about ``array``, (z, y, x) with values below 0: not HU, or not one phase."""
    return _padding_alone(path, array) + _repeated(path, array)


def result_doubts(mask: np.ndarray, voxel_ml: float) -> list[str]:
    """List what is implausible in a predicted mask, (z, y, x) with the labels 1 kidney and 2 tumour."""
    if not mask.any():
        return ["no kidney found, the mask is empty"]
    inside = mask[bounding_box(mask)]
    kidney = np.count_nonzero(inside == KIDNEY) * voxel_ml
    lonely = _lonely_tumour(inside) * voxel_ml
    return [f"a kidney of {kidney:.0f} ml, more than {MOST_KIDNEY_ML}"] * (kidney > MOST_KIDNEY_ML) + [
        f"{lonely:.1f} ml of tumour that does not touch a kidney"
    ] * (lonely > 0)


def _lonely_tumour(mask: np.ndarray) -> int:
    """Count the tumour voxels in 26-connected components without any voxel of kidney."""
    tumour = mask == TUMOUR
    if not tumour.any():
        return 0
    parts, count = cc3d.connected_components(mask > 0, connectivity=26, return_N=True)
    with_kidney = np.bincount(parts[mask == KIDNEY], minlength=count + 1) > 0
    return int(np.count_nonzero(~with_kidney[parts[tumour]]))


def _raise(faults: list[InputError]) -> None:
    for fault in faults:
        raise fault


def _spacing(path: Path, spacing: Sequence[float], limits: tuple[float, float]) -> list[InputError]:
    low, high = limits
    if all(low <= s <= high for s in spacing):
        return []
    return [
        InputError(
            path,
            expected=f"spacing of {low:g}-{high:g} mm",
            found=f"{' x '.join(f'{s:g}' for s in spacing)} mm (z, y, x)",
            remedy="Correct the affine; a factor of 1000 means metres or micrometres",
        )
    ]


def _disagreement(header: nib.Nifti1Header, sform: np.ndarray) -> str | None:
    try:
        apart = sform - header.get_qform()
    except (ValueError, HeaderDataError):
        return "a qform that is none"
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(header.get_data_shape()[:3]) - 1)
    most = np.linalg.norm(np.c_[corners, np.ones(8)] @ apart.T, axis=1).max()
    sizes = np.linalg.norm(sform[:3, :3], axis=0)
    agree = most <= sizes.min() / 2 and (np.linalg.norm(apart[:3, :3], axis=0) / sizes).max() < 0.05
    return None if agree else f"corners up to {most:.1f} mm apart"


def _is_sheared(affine: np.ndarray) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3)


def _padding_alone(path: Path, array: np.ndarray) -> list[InputError]:
    """Find scans whose only negative value is padding, such as -2000: all other values may be 1024 too high."""
    low = array.min()
    if low >= 0 or any(((plane < 0) & (plane > low)).any() for plane in array):
        return []
    return [
        InputError(
            path,
            expected="HU, which are below 0 in fat and air",
            found=f"nothing below 0 but {low:g}, perhaps padding",
            remedy="Subtract 1024 from the others if the rescale intercept was lost",
        )
    ]


def _repeated(path: Path, array: np.ndarray) -> list[InputError]:
    """Find scans with two phases in one file: after the largest jump between neighbours the slices repeat."""
    small = np.clip(array[:, ::8, ::8], *REPEATED_HU).astype(np.float32)
    if len(small) < 8:
        return []
    jumps = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2))
    seam = int(jumps.argmax()) + 1
    both = min(seam, len(small) - seam)
    if both < len(small) / 4:
        return []
    apart = np.abs(small[:both] - small[seam : seam + both]).mean(axis=(1, 2))
    if max(apart[0], np.quantile(apart, 0.9)) * 3 > jumps[seam - 1]:
        return []
    return [
        InputError(
            path,
            expected="one phase",
            found=f"slices that repeat from slice {seam} of {len(small)} on",
            remedy="Split the phases into one file each",
        )
    ]
