"""What a killed process left beside a file goes when that file is written; what one at work has there stays."""

import os
import subprocess

from kidneyseg.system.files import atomic, folder_beside, temporary_name


def name_of(path, process: int):
    """What ``process`` would call ``path`` while it writes."""
    return path.with_name(temporary_name(path).name.replace(f"-{os.getpid()}.", f"-{process}."))


def ended_process() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_leftovers_of_ended_processes_go_and_others_stay(tmp_path):
    path = tmp_path / "a[1].json"
    gone, at_work = (name_of(path, process) for process in (ended_process(), os.getppid()))
    another_machine = tmp_path / f".0000abcd-{ended_process()}.{path.name}"
    others = [tmp_path / ".hidden.a[1].json", name_of(tmp_path / "a1.json", ended_process()), another_machine]
    for file in (gone, at_work, *others):
        file.write_text("half")
    with atomic(path) as partial:
        partial.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, at_work, *others} and path.read_text() == "whole"


def test_folders_of_ended_processes_and_of_an_earlier_one_of_this_number_go(tmp_path):
    path = tmp_path / "graph.mindir"
    for process in (ended_process(), os.getpid()):
        folder = name_of(path, process)
        folder.mkdir()
        (folder / path.name).write_text("half")
    with folder_beside(path) as folder:
        assert not list(folder.iterdir())
        (folder / path.name).write_text("whole")
        os.replace(folder / path.name, path)
    assert list(tmp_path.iterdir()) == [path]
