"""NIfTI-1 files: single fields of the header, extensions, and the body."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import nibabel as nib
import numpy as np
from damage import OTHER, SAME, SEEN, Damage, all_of, renamed
from damage_bytes import BEYOND, FOREIGN, SIZE, WITHIN, bit
from damage_gzip import GZIP, inside

HEADER, OFFSET = 348, 352
NAN, INF = float("nan"), float("inf")

# Values that mean nothing, or nothing else than before: refused, or the result stays.
WITHOUT_SENSE = {
    "sizeof_hdr": (0, -1, 540, 999_999),
    "dim[0]": (0, -1, 2, 8, 32767),
    "dim[1]": (0, -1, -32768, 32767),
    "dim[3]": (0, -1, -32768, 32767),
    "datatype": (0, 1, 32, 128, 255, 1536, 9999),
    "bitpix": (0, 1, -16, 128),
    "magic": (b"", b"n+2", b"ni1", b"abc"),
    "vox_offset": (NAN, INF, -INF, -1.0, 0.0, 1e9, 1e30),
    "scl_slope": (NAN, INF, -INF),
    "scl_inter": (NAN, INF, -INF),
    "pixdim[0]": (NAN, INF, 0.0, 7.0),
    "pixdim[1]": (NAN, INF, 0.0, -1.5),
    "sform_code": (-1, 9999),
    "srow_x": (NAN, INF, 0.0),
    "srow_z": (NAN, -INF, 0.0),
    "quatern_b": (NAN, INF, 5.0),
    "xyzt_units": (1, 3, 255),
}
# Fields without a bearing on voxels and geometry.
WITHOUT_BEARING = {
    "descrip": (b"", b"Doe^Jane", b"\xff" * 80),
    "aux_file": (b"../../x", b"\xe9" * 24),
    "db_name": (b"Doe", b"\0\1"),
    "intent_name": (b"label", b"\xff" * 16),
    "intent_code": (1002, 2),
    "cal_max": (NAN, 1e30, -1.0),
    "cal_min": (INF, 250.0),
    "toffset": (NAN, 3.0),
    "slice_duration": (NAN, 2.5),
    "glmax": (-1, 1 << 30),
    "session_error": (-1, 7),
    "regular": (b"", b"r"),
    "dim_info": (255, 57),
    "slice_code": (255, 3),
}
# Values with a meaning of their own.
OF_OTHER_MEANING = {
    "dim[2]": (1, 7),
    "datatype": (2, 16, 64, 512),
    "pixdim[2]": (1e-3, 1e3),
    "srow_y": (1500.0, 1e-3),
    "scl_slope": (2.0, -1.0, 1e30, 1e-30),
    "scl_inter": (1024.0, -1e30),
    "vox_offset": (353.0, 400.0),
    "qoffset_x": (1e30, NAN),
    "qform_code": (-5, 3),
    "sform_code": (0,),
}


def set_field(content: bytes, field: str, value: object) -> bytes:
    """``content`` with ``field`` (or ``field[n]``) of the header set to ``value``."""
    header = np.frombuffer(content[:HEADER], nib.nifti1.header_dtype).copy()
    name, _, index = field.rstrip("]").partition("[")
    header[name][(0, int(index)) if index else 0] = value
    return header.tobytes() + content[HEADER:]


def setting(field: str, values: tuple) -> Callable[[bytes, Random], bytes]:
    return lambda content, rng: set_field(content, field, rng.choice(values))


def fields(effect: str, table: dict[str, tuple]) -> dict[str, Damage]:
    return {f"{field}-{effect}": Damage(setting(field, values), effect) for field, values in table.items()}


def no_orientation(content: bytes, rng: Random) -> bytes:
    return set_field(set_field(content, "sform_code", 0), "qform_code", 0)


def bit_in_header(content: bytes, rng: Random) -> bytes:
    return bit(content[:HEADER], rng) + content[HEADER:]


def extension(content: bytes, rng: Random) -> bytes:
    """A legal comment of 32 bytes before the voxels."""
    return _extended(content, np.array([32, 6], "<i4").tobytes() + b"made by hand".ljust(24, b"\0"))


def extension_without_end(content: bytes, rng: Random) -> bytes:
    """One that says it is longer than the file, of no length, or of a negative one."""
    size = rng.choice((0, -16, 7, 1 << 30))
    return _extended(content, np.array([size, 6], "<i4").tobytes() + bytes(24))


def _extended(content: bytes, block: bytes) -> bytes:
    content = set_field(content, "vox_offset", OFFSET + len(block))
    return content[:HEADER] + b"\1\0\0\0" + block + content[OFFSET:]


EDITS: dict[str, Damage] = {
    **fields(SAME, WITHOUT_BEARING),
    **all_of(SAME, extension),
    **fields(SEEN, WITHOUT_SENSE),
    **all_of(SEEN, extension_without_end, no_orientation),
    **fields(OTHER, OF_OTHER_MEANING),
    **all_of(OTHER, bit_in_header),
}
NII: dict[str, Damage] = {**EDITS, **all_of(SEEN, *SIZE, *FOREIGN, *BEYOND), **all_of(OTHER, *WITHIN)}
NII_GZ: dict[str, Damage] = GZIP | renamed(
    "header", {name: Damage(inside(damage.apply), damage.effect) for name, damage in EDITS.items()}
)
