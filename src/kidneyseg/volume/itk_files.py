"""Reading of MetaImage and NRRD with SimpleITK, which verifies few checksums; compressed voxels are checked first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.volume.compressed import WINDOW_BITS, Content, blocks_of
from kidneyseg.volume.plausibility import require_bytes, require_no_more, require_size, require_spacing

ENCODINGS = {"gz": "gzip", "bz2": "bzip2"}  # NRRD's other names
UNREADABLE = ("bzip2",)  # not supported by SimpleITK
LONGEST = 500  # letters of a header field; ITK's NRRD reader crashes on a bad field of more than about 1000


@dataclass(frozen=True)
class Voxels:
    """Position of the voxels according to a header.

    Attributes:
        file: file of the voxels; None if they are in several files.
        offset: offset of the (compressed) voxels in ``file``, as far as it follows from the text of the header.
        encoding: "gzip", "zlib", or another encoding without checksum.
        skipped: bytes before the first voxel, after decompression.
    """

    file: Path | None
    offset: int
    encoding: str
    skipped: int = 0


def read_itk(path: Path) -> tuple[nib.Nifti1Header, np.ndarray]:
    """Read the geometry, as a NIfTI header, and the voxels (i, j, k). ITK's world is (Left, Posterior, Superior).

    Raises:
        InputError: not one 3-D volume with one value per voxel, or a size or spacing that no CT has.
        RuntimeError, ValueError, EOFError, zlib.error: it cannot be read, or is damaged.
    """
    import SimpleITK as sitk  # slow to import, and most data sets are NIfTI

    voxels = _metaimage(path) if path.suffix.lower() in (".mha", ".mhd") else _nrrd(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape = reader.GetSize()
    if len(shape) != 3 or reader.GetNumberOfComponents() != 1:
        raise InputError(
            path,
            expected="one 3-D volume with one value per voxel",
            found=f"{len(shape)} axes with {reader.GetNumberOfComponents()} values per voxel",
            remedy="Split a series into one file per volume",
        )
    require_size(path, shape)
    require_spacing(path, reader.GetSpacing()[::-1])
    one = sitk.GetArrayViewFromImage(sitk.Image([1, 1, 1], reader.GetPixelID()))
    _require_whole(path, voxels, shape, one.itemsize)
    data = sitk.GetArrayFromImage(reader.Execute()).T
    data = data.astype(np.float32 if data.dtype.kind == "f" or data.dtype.itemsize > 4 else data.dtype, copy=False)
    affine = np.eye(4)
    affine[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * reader.GetSpacing()
    affine[:3, 3] = reader.GetOrigin()
    affine[:2] *= -1
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_sform(affine, "aligned")
    header.set_qform(affine, "scanner")
    return header, data


def _require_whole(path: Path, voxels: Voxels, shape: tuple[int, ...], itemsize: int) -> None:
    """Check size and checksums of the voxels in a separate pass, because ITK accepts damaged voxels."""
    if voxels.encoding in UNREADABLE:
        raise InputError(
            path,
            expected="voxels that are raw or compressed with gzip",
            found=voxels.encoding,
            remedy="Save it with another encoding, or convert it to NIfTI",
        )
    if voxels.encoding not in WINDOW_BITS:
        if voxels.file is not None and voxels.encoding == "raw":
            require_bytes(path, shape, np.prod(shape, dtype=float) * itemsize, voxels.file.stat().st_size)
        return
    if voxels.file is None:
        raise InputError(path, expected="compressed voxels in one file", found="several", remedy="Convert it to NIfTI")
    with open(voxels.file, "rb") as file:
        file.seek(voxels.offset)
        held = Content(blocks_of(file, voxels.encoding)).rest() - voxels.skipped
    wanted = int(np.prod(shape, dtype=np.int64)) * itemsize
    require_bytes(path, shape, wanted, held)
    require_no_more(path, shape, held - wanted, shape[0] * shape[1] * itemsize)


def _metaimage(path: Path) -> Voxels:
    """Parse a MetaImage header: lines of "Key = Value" up to ElementDataFile."""
    fields: dict[str, str] = {}
    with open(path, "rb") as file:
        while "elementdatafile" not in fields:
            key, _, value = _line(file).partition("=")
            fields[key.strip().lower()] = value.strip()
        end = file.tell()
    name = fields["elementdatafile"]
    local = name.upper() == "LOCAL"
    several = name.upper().startswith("LIST") or "%" in name
    encoding = "zlib" if fields.get("compresseddata", "").lower().startswith("t") else "raw"
    return Voxels(None if several else path if local else path.parent / name, end if local else 0, encoding)


def _nrrd(path: Path) -> Voxels:
    """Parse an NRRD header: lines of "field: value" up to an empty line, or to the end with a separate data file."""
    fields: dict[str, str] = {}
    with open(path, "rb") as header:
        while line := _line(header, end_is_empty=True):
            key, _, value = line.partition(":")
            if len(line) > LONGEST and not line.startswith("#") and not value.startswith("="):
                raise ValueError(f"a header field {key[:40]!r} of {len(line)} letters")
            fields[key.strip().lower()] = value.strip()
        offset = header.tell()
    name = fields.get("data file", fields.get("datafile"))
    encoding = fields.get("encoding", "raw").lower()
    several = name is not None and (name.upper().startswith("LIST") or "%" in name)
    file = None if several else path if name is None else path.parent / name
    lines = int(fields.get("line skip", fields.get("lineskip", 0)))
    skipped = max(0, int(fields.get("byte skip", fields.get("byteskip", 0))))
    if file is not None and (lines or name is not None):
        offset = _after_lines(file, offset if name is None else 0, lines)
    return Voxels(file, offset, ENCODINGS.get(encoding, encoding), skipped)


def _line(file: BinaryIO, end_is_empty: bool = False) -> str:
    line = file.readline(1 << 16)
    if not line and not end_is_empty:
        raise EOFError("its header does not end")
    return line.decode("utf-8", "replace").strip()


def _after_lines(path: Path, offset: int, count: int) -> int:
    with open(path, "rb") as file:
        file.seek(offset)
        for _ in range(count):
            file.readline()
        return file.tell()
