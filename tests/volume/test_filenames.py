from pathlib import Path

import pytest

from kidneyseg.volume.filenames import stem


@pytest.mark.parametrize(
    "name, expected",
    [
        ("case_1.nii.gz", "case_1"),
        ("a.b.NII", "a.b"),
        ("scan.nrrd", "scan"),
        ("x/imaging.mha", "imaging"),
        (".hidden.nii.gz", None),
        ("case_1.gz", None),
        ("notes.txt", None),
    ],
)
def test_stem(name, expected):
    assert stem(Path(name)) == expected
