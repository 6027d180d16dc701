"""The command line: every command's help teaches, and nothing heavy is imported to say it."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from kidneyseg import __version__
from kidneyseg.cli import COMMANDS, main


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text.lower(), f"`kidneyseg {name} --help` shows no example"


def test_help_imports_neither_mindspore_nor_matplotlib():
    code = (
        "import sys\nfrom kidneyseg.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('mindspore', 'matplotlib') if m in sys.modules])"
    )
    for name in COMMANDS:
        out = subprocess.run([sys.executable, "-c", code, name, "--help"], capture_output=True, text=True, check=True)
        assert out.stdout.splitlines()[-1] == "[]", f"{name} imports {out.stdout.splitlines()[-1]}"


def test_without_mindspore_one_line_says_what_is_missing(monkeypatch, capsys):
    from kidneyseg.commands import train

    def without(args):
        raise ModuleNotFoundError("No module named 'mindspore'", name="mindspore")

    monkeypatch.setattr(train, "run", without)
    assert main(["train", "-c", "mplab", "--work", "work", "--stage", "all"]) == 2
    assert "expected the package mindspore" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, words",
    [
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"),
        (OSError(28, "No space left on device", "work/log.jsonl"), "work/log.jsonl: expected room on the disk"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), "expected the package onnx"),
    ],
)
def test_no_traceback_reaches_a_user_unless_asked_for(monkeypatch, capsys, caplog, error, words):
    from kidneyseg.commands import train

    def broken(args):
        raise error

    monkeypatch.setattr(train, "run", broken)
    arguments = ["train", "-c", "mplab", "--work", "work"]
    assert main(arguments) != 0
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not caplog.text
    caplog.set_level(logging.NOTSET, "kidneyseg")  # what --debug changes comes back after the test
    assert main([*arguments, "--debug"]) != 0
    assert "Traceback" in caplog.text and "in broken" in caplog.text


def test_version_and_wrong_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and __version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["trian"])
    assert stop.value.code == 2 and "trian" in capsys.readouterr().err


def test_overrides_may_stand_anywhere(capsys):
    argv = ["train", "name=x", "-c", "mplab", "--work", "nowhere", "stages.coarse.train.epochz=2", "--fold", "0"]
    assert main(argv) == 2
    assert "Did you mean 'epochs'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "-c", "mplab", "--work", "nowhere", "--fold", "0", "a=1", "--flod=0"])
    assert "--flod=0" in capsys.readouterr().err


def test_bare_name_is_a_recipe_even_beside_a_folder_of_that_name(tmp_path, monkeypatch, capsys):
    """`kidneyseg demo --work demo` makes a folder called demo."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert main(["train", "-c", "demo", "--work", "demo", "--fold", "0"]) == 2
    assert "demo/splits.json" in capsys.readouterr().err
