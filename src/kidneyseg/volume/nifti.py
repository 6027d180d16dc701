"""Reading of scans and masks in one canonical orientation, and writing of masks in the orientation of their scan.

Every array of this package has axes (z, y, x) whose index grows towards Superior, Posterior and Left: ``array[z]`` is
an axial slice in radiological view. Only the affine of a file decides about its axes, so the array does not depend on
whether a file stores x first (most tools) or z first (KiTS).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from kidneyseg.errors import InputError
from kidneyseg.system.files import atomic
from kidneyseg.volume import plausibility
from kidneyseg.volume.axes import PerAxis, per_axis
from kidneyseg.volume.filenames import NIFTI_SUFFIXES
from kidneyseg.volume.image_file import read_file

CANONICAL = axcodes2ornt(("S", "P", "L"))

# Entries of a scan's header that are copied to its mask: the geometry. Other entries may name the patient.
GEOMETRY = (
    "dim",
    "pixdim",
    "xyzt_units",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)
ROUNDED = 0.02  # labels this close to an integer are rounded if the file's scaling cannot be more exact


@dataclass(frozen=True)
class Scan:
    """A scan or mask in canonical orientation.

    Attributes:
        array: (z, y, x), C-contiguous; HU as int16 (or float32 if the file has fractions) for a scan, uint8 labels
            for a mask.
        spacing: voxel size in mm, (z, y, x), > 0.
        path: its file.
        affine: (4, 4), index (z, y, x, 1) of ``array`` to mm in the world of NIfTI (Right, Anterior, Superior).
        header: the file's NIfTI header; :func:`write_mask` needs its geometry.
        doubts: likely errors of the file, see :mod:`kidneyseg.volume.plausibility`.
    """

    array: np.ndarray
    spacing: PerAxis[float]
    path: Path
    affine: np.ndarray
    header: nib.Nifti1Header
    doubts: tuple[InputError, ...] = ()

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml, also correct with a sheared affine (gantry tilt)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def misplacement(self, scan: Scan) -> str | None:
        """Describe why this mask does not fit ``scan`` (other shape, or corners over half a voxel apart), or None."""
        if self.array.shape != scan.array.shape:
            return f"shape {self.array.shape} (z, y, x), not {scan.array.shape}"
        corners = np.array(list(product(*[(0, n - 1) for n in scan.array.shape], [1])))
        apart = np.linalg.norm(corners @ (self.affine - scan.affine).T, axis=1).max()
        return f"corners up to {apart:.1f} mm away" if apart > min(scan.spacing) / 2 else None

    def require_on(self, scan: Scan) -> None:
        """Raise InputError if this mask does not fit ``scan``."""
        found = self.misplacement(scan)
        if found:
            raise InputError(
                self.path,
                expected=f"the shape and affine of {scan.path}",
                found=found,
                remedy="Give the mask that was drawn on this scan, or copy the scan's affine if you know it is correct",
            )


def read_image(path: str | Path) -> Scan:
    """Read a CT in HU from NIfTI (``.nii``, ``.nii.gz``), MetaImage or NRRD.

    The array is int16 if all values are integers in its range, whatever the data type of the file; otherwise float32.

    Raises:
        InputError: as for :func:`kidneyseg.volume.image_file.read_file`, NaN or infinite values, or values that cannot
            be HU.
    """
    path = Path(path)
    header, data, _ = read_file(path)
    if data.dtype.kind == "f":
        broken = data.size - sum(int(np.count_nonzero(np.isfinite(plane))) for plane in _planes(data))
        if broken:
            raise InputError(
                path,
                expected="finite HU in every voxel",
                found=f"{broken} voxels that are NaN or infinite",
                remedy="Convert the scan again from its DICOM files, or replace those voxels by -1024",
            )
    low, high = data.min(), data.max()
    plausibility.require_hounsfield(path, low, high)
    info = np.iinfo(np.int16)
    fits = info.min <= low and high <= info.max
    whole = fits and (data.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in _planes(data)))
    scan = _canonical(header, data.astype(np.int16 if whole else np.float32, copy=False), path)
    return replace(scan, doubts=(*scan.doubts, *plausibility.intensity_doubts(path, scan.array)))


def read_mask(path: str | Path, merge: Mapping[int, int] | None = None) -> Scan:
    """Read a label mask as uint8, from the formats of :func:`read_image`; floating-point integers are accepted.

    Labels that were saved as scaled integers are read as 1.00002 or 0.996, for example. They are rounded if the file's
    scaling cannot be more exact.

    Args:
        path: the file.
        merge: label -> the label that it is read as, see :class:`kidneyseg.recipe.Recipe`; by default none.

    Raises:
        InputError: as for :func:`kidneyseg.volume.image_file.read_file`, or values that are not integers from 0 to 255.
    """
    path = Path(path)
    header, data, step = read_file(path)
    whole = data if data.dtype.kind in "iu" else np.rint(np.nan_to_num(data)).clip(0, 255)
    labels = whole.astype(np.uint8)
    wrong = ~(abs(labels - data) <= min(step, ROUNDED)) if step else labels != data
    if wrong.any():
        some = ", ".join(f"{v:g}" for v in np.unique(data[wrong])[:5])
        raise InputError(
            path,
            expected="labels, whole numbers from 0 to 255",
            found=f"{int(wrong.sum())} voxels with values such as {some}",
            remedy="Give the mask, not the scan, and resample masks with nearest neighbour only",
        )
    return _canonical(header, merge_labels(labels, merge or {}), path)


def warn_of_doubts(*files: Scan) -> None:
    """Warn of the likely errors of ``files``."""
    for doubt in (doubt for file in files for doubt in file.doubts):
        warnings.warn(str(doubt), stacklevel=2)


def merge_labels(labels: np.ndarray, merge: Mapping[int, int]) -> np.ndarray:
    """Replace the labels (uint8, any shape) that ``merge`` names; returns the same array if it is empty."""
    table = np.arange(256, dtype=np.uint8)
    for label, other in merge.items():
        table[label] = other
    return table[labels] if merge else labels


def write_mask(path: str | Path, mask: np.ndarray, like: Scan, description: str = "") -> None:
    """Write ``mask`` as uint8 NIfTI, atomically, with exactly the shape, orientation, qform and sform of a scan's file.

    Nothing else is copied from the scan's file, because its header may contain the patient's name.

    Args:
        path: file that ends in ``.nii`` or ``.nii.gz``; its folder is created.
        mask: (z, y, x) labels 0-255, with the shape of ``like.array``.
        like: the scan.
        description: description of the values for the header, at most 79 letters.

    Raises:
        InputError: ``path`` is not a NIfTI name.
        ValueError: ``mask`` does not have the shape of ``like.array``.
    """
    if mask.shape != like.array.shape:
        raise ValueError(f"mask of shape {mask.shape} does not fit a scan of shape {like.array.shape}")
    header = type(like.header)()
    for key in GEOMETRY:
        header[key] = like.header[key]
    header.set_data_dtype(np.uint8)
    header["descrip"] = description.encode()
    affine = header.get_best_affine()
    data = apply_orientation(mask.astype(np.uint8, copy=False), ornt_transform(CANONICAL, io_orientation(affine)))
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    save_nifti(path, kind(data.reshape(header.get_data_shape()), affine, header))


def save_nifti(path: str | Path, image: nib.Nifti1Image) -> None:
    """Write ``image`` atomically; its folder is created. Raises InputError if ``path`` is not a NIfTI name."""
    path = Path(path)
    if not path.name.endswith(NIFTI_SUFFIXES):
        raise InputError(
            path, expected="a name that ends in .nii.gz or .nii", found=f"{path.name!r}", remedy="Rename the output"
        )
    with atomic(path) as partial:
        nib.save(image, partial)


def _planes(data: np.ndarray) -> Iterator[np.ndarray]:
    """Iterate over the last axis of (i, j, k), the order of the file, so that temporary arrays have one plane."""
    return iter(np.moveaxis(data, -1, 0))


def _canonical(header: nib.Nifti1Header, data: np.ndarray, path: Path) -> Scan:
    own = header.get_best_affine()
    transform = ornt_transform(io_orientation(own), CANONICAL)
    affine = own @ inv_ornt_aff(transform, data.shape)
    array = np.ascontiguousarray(apply_orientation(data, transform))
    spacing = per_axis(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    doubts = (*plausibility.spacing_doubts(path, spacing), *plausibility.affine_doubts(path, header))
    return Scan(array, spacing, path, affine, header, doubts)
