"""What leaves the machine says nothing of its user."""

import getpass

import pytest

from kidneyseg.privacy import without_user


@pytest.fixture(autouse=True)
def user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")


@pytest.mark.parametrize("text, expected", [
    ("/home/anna/work/ct.nii.gz", "~/work/ct.nii.gz"), ("/home/anna", "~"), ("--work=/home/anna/w", "--work=~/w"),
    ("/home/anna/a: expected one, found '/home/anna/b'.", "~/a: expected one, found '~/b'."),
    ("/scratch/anna/work", "/scratch/$USER/work"), ("/mnt/home/anna", "/mnt/home/$USER"),
    ("/home/annabel/work", "/home/annabel/work"), ("/home/anna.old", "/home/anna.old"), ("anna/work", "anna/work"),
    ("work/ct.nii.gz", "work/ct.nii.gz"), ("a kidney of 3/4", "a kidney of 3/4"),
])
def test_home_and_user(text, expected):
    assert without_user(text) == expected


def test_everywhere_in_a_record():
    record = {"command": ["/home/anna/bin/kidneyseg", "train"], "seconds": 1.5, "init": None,
              "of": ({"a": "/home/anna"},)}
    assert without_user(record) == {"command": ["~/bin/kidneyseg", "train"], "seconds": 1.5, "init": None,
                                    "of": [{"a": "~"}]}


def test_a_user_without_name_or_home(monkeypatch):
    def nameless():
        raise KeyError("uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setenv("HOME", "/")
    assert without_user("/data/anna") == "/data/anna"
