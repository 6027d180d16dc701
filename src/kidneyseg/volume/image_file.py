"""Reading of one image file. The header is checked before memory is allocated for the voxels."""

from __future__ import annotations

import zlib
from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from kidneyseg.errors import InputError
from kidneyseg.volume import plausibility
from kidneyseg.volume.compressed import GZIP_START, MOST_TIMES, Content, blocks_of
from kidneyseg.volume.filenames import ITK_SUFFIXES, NIFTI_SUFFIXES
from kidneyseg.volume.itk_files import read_itk

HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # keys: header length, which is in the first bytes
FILES_LOOKED_AT = 50  # number of files in a folder that are tested for DICOM
DICOM_AT = 128  # offset of the four letters DICM
CONVERT_DICOM = "Convert the series to NIfTI first, for example with `dcm2niix -z y -o OUT FOLDER`"

_UNREADABLE = (EOFError, ValueError, OverflowError, RuntimeError, zlib.error, ImageFileError, HeaderDataError)


def is_dicom(path: Path) -> bool:
    """Tell whether a file starts as defined in DICOM Part 10."""
    with open(path, "rb") as file:
        return file.read(DICOM_AT + 4)[DICOM_AT:] == b"DICM"


def require_no_dicom(folder: Path) -> None:
    """Raise InputError if one of the first files in ``folder`` and its sub-folders is DICOM."""
    files = islice((path for path in folder.rglob("*") if path.is_file()), FILES_LOOKED_AT)
    dicom = next(filter(is_dicom, files), None)
    if dicom is not None:
        raise InputError(
            folder, expected="volumes in one file each", found=f"DICOM files such as {dicom.name}", remedy=CONVERT_DICOM
        )


def read_file(path: Path) -> tuple[nib.Nifti1Header, np.ndarray, float]:
    """Read an image file.

    Returns:
        header: a header whose geometry is valid; its other entries are not used.
        data: (i, j, k) in the file's orientation, scaled by the header's slope and intercept.
        step: smallest difference between two values after scaling; 0 without scaling.

    Raises:
        InputError: no such file, DICOM, another format, damaged (header, length, checksum), not one 3-D volume, a size
            or spacing that no CT has, no usable affine, several values per voxel.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(path, expected="an image file", found=found, remedy="Check the path")
    try:
        if is_dicom(path):
            raise InputError(path, expected="a volume in one file", found="a DICOM file", remedy=CONVERT_DICOM)
        name = path.name.lower()
        if name.endswith(NIFTI_SUFFIXES):
            header, data, step = _read_nifti(path)
        elif name.endswith(ITK_SUFFIXES):
            header, data, step = *read_itk(path), 0.0
        else:
            raise InputError(
                path,
                expected=f"a file that ends in {', '.join(NIFTI_SUFFIXES + ITK_SUFFIXES)}",
                found=f"{path.name!r}",
                remedy="Convert it to NIfTI",
            )
    except OSError as error:
        raise InputError(
            path,
            expected="a file that can be read",
            found=error.strerror or str(error),
            remedy="Check its permissions and its disk",
        ) from None
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    return header, data.reshape(data.shape[:3]), step


def _read_nifti(path: Path) -> tuple[nib.Nifti1Header, np.ndarray, float]:
    """Read a NIfTI file; its first bytes, not its name, tell whether it is compressed."""
    with open(path, "rb") as file:
        compressed = file.read(2) == GZIP_START
        file.seek(0)
        content = Content(blocks_of(file, "gzip" if compressed else "raw"))
        header = _read_header(content)
        _require_possible(path, header, path.stat().st_size * (MOST_TIMES if compressed else 1))
        return header, *_read_voxels(path, header, content)


def _read_header(content: Content) -> nib.Nifti1Header:
    start = _next(content, 4)
    kind = (
        next(
            (HEADERS[n] for n in HEADERS if n in (np.frombuffer(start, "<i4")[0], np.frombuffer(start, ">i4")[0])), None
        )
        if len(start) == 4
        else None
    )
    if kind is None:
        raise ValueError("no NIfTI header")
    return kind(start + _next(content, kind.template_dtype.itemsize - 4))


def _next(content: Content, count: int) -> bytes:
    block = bytearray(count)
    return bytes(block[: content.fill(memoryview(block))])


def _require_possible(path: Path, header: nib.Nifti1Header, most: int) -> None:
    """Check the header; ``most`` is the maximum number of bytes that the file can contain."""
    shape = header.get_data_shape()
    plausibility.require_size(path, shape)
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise InputError(
            path,
            expected="one number per voxel",
            found=f"data type {dtype}",
            remedy="Convert colour or complex images to plain numbers",
        )
    offset = float(header["vox_offset"])
    if not offset >= header.template_dtype.itemsize:
        raise ValueError(f"vox_offset {offset:g}, inside the header")
    plausibility.require_bytes(path, shape, offset + np.prod(shape, dtype=float) * dtype.itemsize, most)
    _require_affine(path, header)


def _require_affine(path: Path, header: nib.Nifti1Header) -> None:
    if header["sform_code"] == 0 and header["qform_code"] == 0:
        raise InputError(
            path,
            expected="an orientation (sform or qform)",
            found="sform_code and qform_code 0",
            remedy="Convert the scan again from its DICOM files, or set the sform if you know the correct one",
        )
    affine = header.get_best_affine()[:3, :3]
    sizes = np.linalg.norm(affine, axis=0)
    if not np.isfinite(header.get_best_affine()).all() or sizes.min() <= 0 or abs(np.linalg.det(affine / sizes)) < 1e-3:
        raise InputError(
            path,
            expected="an affine that can be inverted",
            found=f"{affine.tolist()}",
            remedy="Correct the sform or qform of the header",
        )
    order = np.argsort(-nib.io_orientation(header.get_best_affine())[:, 0])  # axes of the file that are z, y, x
    plausibility.require_spacing(path, sizes[order])


def _read_voxels(path: Path, header: nib.Nifti1Header, content: Content) -> tuple[np.ndarray, float]:
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    try:
        data = np.empty(shape, dtype, order="F")
    except MemoryError:
        raise InputError(
            path,
            expected="a volume that fits into memory",
            found=f"shape {tuple(shape)} of {dtype}",
            remedy="Use a machine with more memory, or crop the scan",
        ) from None
    content.skip(int(header["vox_offset"]) - header.template_dtype.itemsize)
    flat = data.reshape(-1, order="F").view(np.uint8).data
    filled = content.fill(flat)
    surplus = content.rest()  # reads to the end, where the checksums are
    if filled < len(flat):
        raise EOFError(f"{filled} bytes of voxels, not {len(flat)}")
    plausibility.require_no_more(path, shape, surplus, len(flat) // shape[2])
    slope, inter = header.get_slope_inter()
    if slope in (None, 1) and not inter:
        return data, 0.0
    scaled = apply_read_scaling(data, np.float32(slope), np.float32(inter))
    return scaled.astype(np.float32, copy=False), abs(float(slope))


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()).replace(str(path), path.name) or type(error).__name__
    return InputError(
        path,
        expected="a readable, complete image file",
        found=f"a broken one ({reason[:200]})",
        remedy="Copy or download it again",
    )
