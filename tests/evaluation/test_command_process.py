"""Commands in processes of their own: their memory, and why they fail."""

import ctypes
import os
import re
import subprocess
import sys

import pytest

from kidneyseg.evaluation import command_process
from kidneyseg.evaluation.command_process import ChildFailed, run_command
from kidneyseg.system.peak_memory import own_peak


@pytest.fixture
def program(monkeypatch):
    """program(code) makes run_command run that Python code instead."""
    popen = subprocess.Popen

    def use(code):
        monkeypatch.setattr(
            command_process.subprocess,
            "Popen",
            lambda argv, **options: popen([sys.executable, "-c", code, *argv[3:]], **options),
        )

    return use


REPORT = "\nfrom kidneyseg.system.peak_memory import report_peak\nreport_peak()"


def test_peak_memory_is_the_childs_own(program):
    """Not this process's, which the kernel would count as the child's, and also what was given back again."""
    held = b"x" * (400 << 20)
    program("x = bytearray(10)" + REPORT)
    small = run_command(["train"])
    program("x = b'x' * (300 << 20)\ndel x" + REPORT)
    large = run_command(["train"])
    assert small < 200 and 290 < large - small < 330 and own_peak() > len(held) >> 20


@pytest.mark.skipif(os.environ.get("OMP_NUM_THREADS") == "1", reason="the tests' own environment says 1 thread")
def test_a_child_does_not_get_what_libraries_have_set(program, capfd):
    """As MindSpore does: setenv(3), which Python's os.environ does not see."""
    libc = ctypes.CDLL(None)
    before = os.environ.get("OMP_NUM_THREADS", "unset")
    libc.setenv(b"OMP_NUM_THREADS", b"1", 1)
    try:
        program("import os\nprint(os.environ.get('OMP_NUM_THREADS', 'unset'), flush=True)" + REPORT)
        run_command(["train"])
    finally:
        if before == "unset":
            libc.unsetenv(b"OMP_NUM_THREADS")
        else:
            libc.setenv(b"OMP_NUM_THREADS", before.encode(), 1)
    assert capfd.readouterr().out.strip() == before


def test_a_bad_input_is_told_in_the_commands_words(capfd):
    with pytest.raises(ChildFailed, match=r"^train: nowhere.yaml: expected a recipe .*found No such file") as failed:
        run_command(["train", "-c", "nowhere.yaml", "--work", "nowhere"])
    assert str(failed.value).removeprefix("train: ") in capfd.readouterr().err


@pytest.mark.parametrize(
    "code, said",
    [
        ("raise ValueError('of no use')", "train: ValueError: of no use"),
        ("import os; os._exit(7)", "train: exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "train: killed by SIGKILL, perhaps because memory was full"),
        (
            "import sys; print('kidneyseg train: error: so it is\\nbye', file=sys.stderr); sys.exit(2)",
            "train: so it is",
        ),
    ],
)
def test_any_other_end_is_told_too(program, code, said):
    program(code)
    with pytest.raises(ChildFailed, match=f"^{re.escape(said)}$"):
        run_command(["train"])
