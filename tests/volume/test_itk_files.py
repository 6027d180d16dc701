"""MetaImage and NRRD as SimpleITK writes them, whole and damaged."""

import bz2

import numpy as np
import pytest
import SimpleITK as sitk

from kidneyseg.errors import InputError
from kidneyseg.volume.image_file import read_file
from kidneyseg.volume.nifti import read_image

DATA = np.random.default_rng(0).integers(-200, 300, (10, 11, 12)).astype(np.int16)
NAMES = ("ct.mha", "ct.mhd", "ct.nrrd", "ct.nhdr")


def write(folder, name, compress=True, spacing=(0.8, 0.8, 3.0)):
    image = sitk.GetImageFromArray(DATA)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(folder / name), compress)
    return folder / name


def voxels(path):
    """The file that holds the voxels of ``path``."""
    return next((other for other in path.parent.iterdir() if other != path), path)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_what_itk_writes_is_read(tmp_path, name, compress):
    header, data, _ = read_file(write(tmp_path, name, compress))
    np.testing.assert_array_equal(data, DATA.T)
    assert header.get_data_shape() == DATA.T.shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["bit", "checksum", "cut", "garbage"])
def test_damage_is_seen_that_itk_does_not_see(tmp_path, name, damage):
    path = write(tmp_path, name)
    file = voxels(path)
    whole = file.read_bytes()
    middle, end = len(whole) - 500, len(whole) - 4
    file.write_bytes(
        {
            "bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "checksum": whole[:end] + bytes([whole[end] ^ 1]) + whole[end + 1 :],
            "cut": whole[:-1],
            "garbage": whole + b"garbage",
        }[damage]
    )
    with pytest.raises(InputError, match="Copy or download it again"):
        read_file(path)


@pytest.mark.parametrize("name", ["ct.mha", "ct.nrrd"])
@pytest.mark.parametrize("compress", [True, False])
def test_a_header_with_other_sizes_is_refused(tmp_path, name, compress):
    path = write(tmp_path, name, compress)
    whole = path.read_bytes()
    for said in (b"12 11 99", b"9999 11 10", b"8000 8000 8000"):
        path.write_bytes(whole.replace(b"12 11 10", said))
        with pytest.raises(InputError, match=r"ct\.(mha|nrrd): expected"):
            read_file(path)
    if compress:
        path.write_bytes(whole.replace(b"12 11 10", b"12 11 5"))
        with pytest.raises(InputError, match="at least one more slice"):
            read_file(path)


def test_spacing_is_judged_here_too(tmp_path):
    with pytest.raises(InputError, match="micrometres"):
        read_file(write(tmp_path, "ct.mha", spacing=(800, 800, 3000)))


def test_an_encoding_that_itk_cannot_read_is_named(tmp_path):
    path = write(tmp_path, "ct.nrrd", compress=False)
    header, body = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(header.replace(b"encoding: raw", b"encoding: bzip2") + b"\n\n" + bz2.compress(body))
    with pytest.raises(InputError, match="found bzip2. Save it with another encoding"):
        read_file(path)


@pytest.mark.parametrize("line", ["sizes: " + "9" * 5000, "x" * 5000, "space directions: " + "(1,0,0) " * 900])
def test_a_header_line_that_would_crash_itk_is_refused(tmp_path, line):
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkInt16), str(path))
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"\n".join([first, line.encode(), rest]))
    with pytest.raises(InputError, match=f"{len(line.strip())} letters"):
        read_image(path)


def test_long_comments_and_keys_of_an_nrrd_are_legal(tmp_path):
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 4, 4), -50, np.int16)), str(path))
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"\n".join([first, b"# " + b"c" * 3000, b"key:=" + b"v" * 3000, rest]))
    assert (read_image(path).array == -50).all()
