"""Whatever went wrong, one line says what and what to do."""

from __future__ import annotations

import errno
import logging
from concurrent.futures.process import BrokenProcessPool

import pytest

from kidneyseg.errors import InputError
from kidneyseg.system.failures import cause, explain
from kidneyseg.system.files import atomic

MINDSPORE = """Exception thrown from dataset pipeline. Refer to 'Dataset Pipeline Error Message'.

------------------------------------------------------------------
- Dataset Pipeline Error Message:
------------------------------------------------------------------
[ERROR] Failed to write file, reason: {}

------------------------------------------------------------------
- C++ Call Stack: (For framework developers)
------------------------------------------------------------------
mindspore/ccsrc/minddata/mindrecord/io/shard_writer.cc(1131).
"""


@pytest.mark.parametrize(
    "error, words",
    [
        (MemoryError("Unable to allocate 148. TiB"), ["case_1: expected enough memory", "148. TiB", "spacing"]),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.nii.gz"), ["out/a.nii.gz: expected room on the disk"]),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ["case_1: expected room within the disk quota"]),
        (
            PermissionError(errno.EACCES, "Permission denied", "out/x"),
            ["out/x: expected permission", "Permission denied"],
        ),
        (OSError(errno.EROFS, "Read-only file system", "out/x"), ["out/x", "not read-only"]),
        (RuntimeError(MINDSPORE.format("No space left on device")), ["case_1: expected room on the disk"]),
        (RuntimeError("[ERROR] No free disk to be used while writing mindrecord files"), ["room on the disk", "Free"]),
        (RuntimeError(MINDSPORE.format("bad page")), ["RuntimeError: [ERROR] Failed to write file, reason: bad page."]),
        (BrokenProcessPool("terminated abruptly"), ["killed, most likely for lack of memory", "--workers"]),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.raw"), ["No such file or directory: x.raw"]),
        (KeyError("a bug"), ["KeyError: 'a bug'", "--debug"]),
    ],
)
def test_every_error_is_one_line_that_helps(error, words):
    said = str(explain("case_1", error))
    assert all(word in said for word in words), said
    assert "\n" not in said and "Call Stack" not in said and "shard_writer" not in said


def test_input_errors_stay_and_texts_are_short():
    error = InputError("a", expected="b", found="c", remedy="d")
    assert explain("case_1", error) is error
    assert len(cause(ValueError("x" * 10_000))) < 400


def test_the_traceback_is_logged_for_debug(caplog):
    caplog.set_level(logging.DEBUG, "kidneyseg")
    try:
        {}["absent"]
    except KeyError as error:
        explain("case_1", error)
    assert "Traceback" in caplog.text and '{}["absent"]' in caplog.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_no_writer_leaves_anything_on_a_full_disk(tmp_path, number):
    with pytest.raises(InputError, match="a.nii.gz: expected") as caught, atomic(tmp_path / "a.nii.gz") as partial:
        partial.write_bytes(b"half")
        raise OSError(number, "the system's words", str(partial))
    assert not list(tmp_path.iterdir()) and str(partial.name) not in str(caught.value)


def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    with atomic(tmp_path / f"{'x' * 248}.nii.gz") as partial:
        partial.write_bytes(b"all")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
