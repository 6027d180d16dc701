"""NIfTI files that lie about themselves, misnamed ones, and DICOM."""

import gzip
import zlib

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.volume.image_file import read_file, require_no_dicom

DATA = np.random.default_rng(0).integers(-200, 300, (12, 11, 10)).astype(np.int16)
RAW = nib.Nifti1Image(DATA, np.diag([-0.8, -0.8, 3, 1])).to_bytes()
ZIPPED = gzip.compress(RAW)


def file(tmp_path, content, name="ct.nii.gz"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def with_field(offset: int, value) -> bytes:
    return RAW[:offset] + value.tobytes() + RAW[offset + value.nbytes :]


@pytest.mark.parametrize(
    "name, content",
    [
        ("ct.nii", RAW),
        ("ct.nii.gz", ZIPPED),
        ("ct.nii", ZIPPED),
        ("ct.nii.gz", RAW),
        ("ct.nii.gz", gzip.compress(RAW[:300]) + gzip.compress(RAW[300:])),
    ],
    ids=["plain", "gzip", "gzip called .nii", "plain called .nii.gz", "two members"],
)
def test_content_counts_and_not_the_name(tmp_path, name, content):
    header, data, step = read_file(file(tmp_path, content, name))
    np.testing.assert_array_equal(data, DATA)
    assert step == 0 and header.get_data_shape() == DATA.shape


@pytest.mark.parametrize("place", [*range(10, len(ZIPPED), len(ZIPPED) // 40), *range(len(ZIPPED) - 8, len(ZIPPED))])
def test_no_bit_can_flip_unseen(tmp_path, place):
    damaged = ZIPPED[:place] + bytes([ZIPPED[place] ^ 1]) + ZIPPED[place + 1 :]
    with pytest.raises(InputError, match="Copy or download it again"):
        read_file(file(tmp_path, damaged))


@pytest.mark.parametrize(
    "damaged",
    [ZIPPED[:-1], ZIPPED[:-8], ZIPPED + b"garbage", RAW[:-1]],
    ids=["last byte", "checksum gone", "garbage", "plain, last byte"],
)
def test_what_is_cut_or_has_garbage_is_refused(tmp_path, damaged):
    with pytest.raises(InputError, match="Copy or download it again"):
        read_file(file(tmp_path, damaged))


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "offset, value",
    [
        *[(108, np.float32(v)) for v in (np.nan, np.inf, -np.inf, 1e30, 1e9, 0, -352)],
        *[
            (40, np.array([3, *shape], np.int16))
            for shape in (
                (32767, 32767, 32767),
                (32767, 1, 1),
                (8000, 8000, 8000),
                (12, 11, 11),
                (12, 11, 9),
                (0, 11, 10),
                (-1, 1, 1),
            )
        ],
        (70, np.int16(5)),
        (254, np.int16(99)),
        (280, np.float32(np.nan)),
    ],
)
def test_a_header_that_lies_gives_one_error_and_takes_no_memory(tmp_path, monkeypatch, offset, value, compress):
    taken = []
    empty = np.empty
    monkeypatch.setattr(
        np, "empty", lambda shape, *args, **options: taken.append(shape) or empty(shape, *args, **options)
    )
    with pytest.raises(InputError, match="ct.nii.gz: expected"):
        read_file(file(tmp_path, compress(with_field(offset, value))))
    assert all(np.prod(shape) < 2000 for shape in taken)


def test_padding_of_less_than_a_slice_is_no_fault(tmp_path):
    np.testing.assert_array_equal(read_file(file(tmp_path, gzip.compress(RAW + bytes(100))))[1], DATA)


def test_dicom_is_called_dicom(tmp_path):
    dicom = bytes(128) + b"DICM" + bytes(50)
    with pytest.raises(InputError, match="a DICOM file.*dcm2niix"):
        read_file(file(tmp_path, dicom, "IM0001"))
    (tmp_path / "study" / "series").mkdir(parents=True)
    require_no_dicom(tmp_path / "study")
    file(tmp_path / "study" / "series", dicom, "IM0002")
    with pytest.raises(InputError, match="DICOM files such as IM0002.*dcm2niix"):
        require_no_dicom(tmp_path / "study")


def test_the_error_is_of_the_stream_and_not_of_nibabel(tmp_path):
    """What gzip itself says is what the user reads."""
    with pytest.raises(zlib.error) as own:
        zlib.decompressobj(31).decompress(ZIPPED[:-8] + bytes(8))
    with pytest.raises(InputError, match=str(own.value).split(": ")[1]):
        read_file(file(tmp_path, ZIPPED[:-8] + bytes(8)))
