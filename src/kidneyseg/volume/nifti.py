"""Scans and masks in one orientation, and masks back in the orientation of their scan's file.

Every array of this package has axes (z, y, x) whose index grows towards Superior, Posterior and Left: ``array[z]`` is
an axial slice as radiologists look at it. Which axis of a file is which is decided by its affine alone, so the same
patient comes out the same whether a file stores x first (most tools) or z first (KiTS).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError

from kidneyseg.atomic import atomic
from kidneyseg.errors import InputError
from kidneyseg.volume.names import ITK_SUFFIXES, NIFTI_SUFFIXES

CANONICAL = axcodes2ornt(("S", "P", "L"))

_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError)


@dataclass(frozen=True)
class Scan:
    """A scan or mask in canonical orientation.

    Attributes:
        array: (z, y, x), C-contiguous; HU as int16 (or float32 if the file has fractions) for a scan, uint8 labels
            for a mask.
        spacing: voxel size in mm, (z, y, x), > 0.
        path: the file it came from.
        affine: (4, 4), index (z, y, x, 1) of ``array`` to mm in the world of NIfTI (Right, Anterior, Superior).
        header: the file's own NIfTI header; :func:`write_mask` needs it to write in the file's own geometry.
    """

    array: np.ndarray
    spacing: tuple[float, float, float]
    path: Path
    affine: np.ndarray
    header: nib.Nifti1Header

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000

    def misplacement(self, scan: Scan) -> str | None:
        """Why this mask does not lie on ``scan`` (another shape, or corners over half a voxel apart), or None."""
        if self.array.shape != scan.array.shape:
            return f"shape {self.array.shape} (z, y, x), not {scan.array.shape}"
        corners = np.array(list(product(*[(0, n - 1) for n in scan.array.shape], [1])))
        apart = np.linalg.norm(corners @ (self.affine - scan.affine).T, axis=1).max()
        return f"corners up to {apart:.1f} mm away" if apart > min(scan.spacing) / 2 else None

    def require_on(self, scan: Scan) -> None:
        """Raise InputError unless this mask lies on ``scan``."""
        found = self.misplacement(scan)
        if found:
            raise InputError(
                self.path,
                expected=f"the shape and affine of {scan.path}",
                found=found,
                remedy="Give the mask that was drawn on this scan, or copy the scan's affine if you know it is right",
            )


def read_image(path: str | Path) -> Scan:
    """A CT from NIfTI (``.nii``, ``.nii.gz``), MetaImage or NRRD, in HU.

    The values keep their meaning whatever the file's data type: int16 when all of them are whole numbers in range,
    float32 otherwise.

    Raises:
        InputError: no such file, not readable (truncated, other format), not 3-D (trailing axes of length 1 are
            accepted), no usable affine, NaN or infinite values.
    """
    path = Path(path)
    image = _load(path)
    data = _values(image, path)
    if data.dtype.kind == "f":
        broken = data.size - sum(int(np.count_nonzero(np.isfinite(plane))) for plane in _planes(data))
        if broken:
            raise InputError(
                path,
                expected="finite HU in every voxel",
                found=f"{broken} voxels that are NaN or infinite",
                remedy="Convert the scan again from its DICOM files, or replace those voxels by -1024",
            )
    info = np.iinfo(np.int16)
    fits = info.min <= data.min() and data.max() <= info.max
    whole = fits and (data.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in _planes(data)))
    return _canonical(image, data.astype(np.int16 if whole else np.float32, copy=False), path)


def read_mask(path: str | Path, merge: Mapping[int, int] | None = None) -> Scan:
    """A label mask, uint8, from the formats of :func:`read_image`; floating-point files of whole numbers are accepted.

    Args:
        merge: labels to read as another one, see :class:`kidneyseg.recipe.Recipe`; by default none.

    Raises:
        InputError: as :func:`read_image`, and values that are not whole numbers from 0 to 255.
    """
    path = Path(path)
    image = _load(path)
    data = _values(image, path)
    labels = data.astype(np.uint8) if data.dtype.kind in "iu" else np.nan_to_num(data).clip(0, 255).astype(np.uint8)
    wrong = labels != data
    if wrong.any():
        some = ", ".join(f"{v:g}" for v in np.unique(data[wrong])[:5])
        raise InputError(
            path,
            expected="labels, whole numbers from 0 to 255",
            found=f"{int(wrong.sum())} voxels with values such as {some}",
            remedy="Give the mask, not the scan, and resample masks with nearest neighbour only",
        )
    return _canonical(image, merge_labels(labels, merge or {}), path)


def merge_labels(labels: np.ndarray, merge: Mapping[int, int]) -> np.ndarray:
    """uint8 labels of any shape, those that ``merge`` names read as another; the same array when it names none."""
    table = np.arange(256, dtype=np.uint8)
    for label, other in merge.items():
        table[label] = other
    return table[labels] if merge else labels


def write_mask(path: str | Path, mask: np.ndarray, like: Scan) -> None:
    """Write ``mask`` as uint8 NIfTI in the exact shape, orientation, qform and sform of the file ``like`` came from.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``; its folder is made. The file appears complete or not at all.
        mask: (z, y, x) labels 0-255 on ``like.array``.

    Raises:
        InputError: ``path`` is no NIfTI name.
        ValueError: ``mask`` does not lie on ``like.array``.
    """
    if mask.shape != like.array.shape:
        raise ValueError(f"mask of shape {mask.shape} does not lie on a scan of shape {like.array.shape}")
    header = like.header.copy()
    header.extensions.clear()  # they describe the scan's pixels (and sometimes its patient), not the mask
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the scan's display window would hide labels 1 and 2
    affine = header.get_best_affine()
    data = apply_orientation(mask.astype(np.uint8, copy=False), ornt_transform(CANONICAL, io_orientation(affine)))
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    save_nifti(path, kind(data.reshape(header.get_data_shape()), affine, header))


def save_nifti(path: str | Path, image: nib.Nifti1Image) -> None:
    """Write ``image`` atomically; its folder is made. Raises InputError if ``path`` is no NIfTI name."""
    path = Path(path)
    if not path.name.endswith(NIFTI_SUFFIXES):
        raise InputError(
            path, expected="a name that ends in .nii.gz or .nii", found=f"{path.name!r}", remedy="Rename the output"
        )
    with atomic(path) as partial:
        nib.save(image, partial)


def _load(path: Path) -> nib.Nifti1Image:
    """The file as a NIfTI image of three axes (beside trailing ones of length 1) with a usable affine."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(path, expected="an image file", found=found, remedy="Check the path")
    name = path.name.lower()
    if name.endswith(NIFTI_SUFFIXES):
        image = _load_nifti(path)
    elif name.endswith(ITK_SUFFIXES):
        image = _load_itk(path)
    else:
        raise InputError(
            path,
            expected=f"a file that ends in {', '.join(NIFTI_SUFFIXES + ITK_SUFFIXES)}",
            found=f"{path.name!r}",
            remedy="Convert it to NIfTI",
        )
    shape = image.shape
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or 0 in shape:
        raise InputError(
            path,
            expected="one 3-D volume",
            found=f"shape {tuple(shape)}",
            remedy="Split a series into one file per volume",
        )
    return image


def _load_nifti(path: Path) -> nib.Nifti1Image:
    try:
        image = nib.load(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    if not isinstance(image, nib.Nifti1Pair):
        raise InputError(path, expected="a NIfTI file", found=type(image).__name__, remedy="Convert it to NIfTI")
    if image.header["sform_code"] == 0 and image.header["qform_code"] == 0:
        raise InputError(
            path,
            expected="an orientation (sform or qform)",
            found="sform_code and qform_code 0",
            remedy="Convert the scan again from its DICOM files, or set the sform you know to be right",
        )
    affine = image.affine
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or sizes.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-3:
        raise InputError(
            path,
            expected="an affine that can be inverted",
            found=f"{affine[:3, :3].tolist()}",
            remedy="Correct the sform or qform of the header",
        )
    return image


def _load_itk(path: Path) -> nib.Nifti1Image:
    """MetaImage or NRRD as an in-memory NIfTI image; ITK's world is (Left, Posterior, Superior)."""
    import SimpleITK as sitk  # slow to import, and most cohorts are NIfTI

    try:
        source = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    if source.GetDimension() != 3 or source.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            path,
            expected="one 3-D volume with one value per voxel",
            found=f"{source.GetDimension()} axes with {source.GetNumberOfComponentsPerPixel()} values per voxel",
            remedy="Split a series into one file per volume",
        )
    affine = np.eye(4)
    affine[:3, :3] = np.array(source.GetDirection()).reshape(3, 3) * source.GetSpacing()
    affine[:3, 3] = source.GetOrigin()
    affine[:2] *= -1
    data = sitk.GetArrayFromImage(source).T
    data = data.astype(np.float32 if data.dtype.kind == "f" or data.dtype.itemsize > 4 else data.dtype, copy=False)
    image = nib.Nifti1Image(data, affine)
    image.set_qform(affine, "scanner")
    return image


def _values(image: nib.Nifti1Image, path: Path) -> np.ndarray:
    """All voxels as (i, j, k) in the file's orientation, scaled by the header's slope and intercept."""
    proxy = image.dataobj
    try:
        scaled = nib.is_proxy(proxy) and (proxy.slope, proxy.inter) != (1, 0)
        data = np.asarray(proxy, np.float32) if scaled else np.asanyarray(proxy)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    if data.dtype.kind not in "iuf":
        raise InputError(
            path,
            expected="one number per voxel",
            found=f"data type {data.dtype}",
            remedy="Convert colour or complex images to plain numbers",
        )
    return data.reshape(data.shape[:3])


def _planes(data: np.ndarray) -> Iterator[np.ndarray]:
    """(i, j, k) by its last axis, along which files are in order: what is computed of each is as small as a plane."""
    return iter(np.moveaxis(data, -1, 0))


def _canonical(image: nib.Nifti1Image, data: np.ndarray, path: Path) -> Scan:
    transform = ornt_transform(io_orientation(image.affine), CANONICAL)
    affine = image.affine @ inv_ornt_aff(transform, data.shape)
    array = np.ascontiguousarray(apply_orientation(data, transform))
    spacing = tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    return Scan(array, spacing, path, affine, image.header)


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()).replace(str(path), path.name) or type(error).__name__
    return InputError(
        path,
        expected="a readable, complete image file",
        found=f"a broken one ({reason[:200]})",
        remedy="Copy or download it again",
    )
