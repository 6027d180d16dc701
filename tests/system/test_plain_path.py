"""Names that MindSpore takes, for any that a file system takes."""

from __future__ import annotations

import os

import pytest
from mindspore.mindrecord.core.shardutils import check_filename

from kidneyseg.system.plain_path import PLAIN, plain_folder, plain_name

NASTY = """ a b[1]'";|&*?<>`$x$(é模型) 100%:\\ """


@pytest.mark.parametrize("name", [NASTY, "x" * 255, "模" * 85, "a\tb", os.fsdecode(b"\xff\xfe"), "..", "'"])
def test_any_name_becomes_one_that_mindrecord_takes(name):
    plain = plain_name(name)
    assert check_filename(f"{plain}.fine.mindrecord") and len(f"{plain}.fine.mindrecord.db".encode()) < 200


def test_plain_names_stay_and_others_remain_apart():
    for name in ("case_00000", "1.2.840.113619", "patient 7 (CT)", "模型"):
        assert plain_name(name) == name
    assert len({plain_name(name) for name in ("a'", 'a"', "a_", "x" * 200, "x" * 201)}) == 5


def test_a_folder_gets_another_path_as_long_as_it_is_needed(tmp_path, monkeypatch):
    folder = tmp_path / NASTY
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with plain_folder(folder) as plain:
        assert PLAIN.fullmatch(str(plain))
        (plain / "graph.mindir").touch()
    assert (folder / "graph.mindir").exists() and not plain.parent.exists()
    with plain_folder(tmp_path) as same:
        assert same == tmp_path
