"""The record of runs: what is in it, and that nobody's folders are."""

import json
import sys

from kidneyseg.model_folder import run_record


def test_sessions_are_added_and_forgotten(tmp_path):
    for stage, number in (("coarse", 1), ("coarse", 2), ("fine", 3)):
        run_record.record(tmp_path, stage, {"first_step": number})
    sessions = run_record.read_sessions(tmp_path)
    assert [one["first_step"] for one in sessions["coarse"]] == [1, 2]
    run_record.forget(tmp_path, "coarse")
    assert run_record.read_sessions(tmp_path) == {"fine": sessions["fine"]}


def test_no_home_folder_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/bin/kidneyseg", "train", f"--work={tmp_path}/work"])
    run_record.record(tmp_path, "fine", {"init": str(tmp_path / "model")})
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text)["fine"][0]["command"] == ["~/bin/kidneyseg", "train", "--work=~/work"]
    assert str(tmp_path) not in text
