"""What leaves the machine says nothing of its user."""

import getpass

import pytest

from kidneyseg.system.privacy import without_user


@pytest.fixture(autouse=True)
def user(monkeypatch):
    monkeypatch.setenv("HOME", "/Users/anna")
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("/Users/anna/kits/ct.nii.gz", "~/kits/ct.nii.gz"),
        ("/Users/anna", "~"),
        ("--work=/Users/anna/w", "--work=~/w"),
        ("/Users/anna/a: expected one, found '/Users/anna/b'.", "~/a: expected one, found '~/b'."),
        ("/scratch/anna/work", "/scratch/$USER/work"),
        ("/mnt/Users/anna", "/mnt/Users/$USER"),
        ("/Users/annabel/work", "/Users/annabel/work"),
        ("/Users/anna.old", "/Users/anna.old"),
        ("anna/work", "anna/work"),
        ("work/ct.nii.gz", "work/ct.nii.gz"),
        ("a kidney of 3/4", "a kidney of 3/4"),
    ],
)
def test_home_and_user(text, expected):
    assert without_user(text) == expected


def test_everywhere_in_a_record():
    record = {
        "command": ["/Users/anna/bin/kidneyseg", "train"],
        "seconds": 1.5,
        "init": None,
        "of": ({"a": "/Users/anna"},),
    }
    assert without_user(record) == {
        "command": ["~/bin/kidneyseg", "train"],
        "seconds": 1.5,
        "init": None,
        "of": [{"a": "~"}],
    }


def test_a_user_without_name_or_home(monkeypatch):
    def nameless():
        raise KeyError("uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setenv("HOME", "/")
    assert without_user("/data/anna") == "/data/anna"
