import subprocess
import sys
from pathlib import Path

import pytest

from kidneyseg.errors import InputError
from kidneyseg.model_folder.epoch_log import append_row, keep_rows, read_rows


def test_rows_come_back_until_they_are_dropped(tmp_path):
    path = tmp_path / "log.jsonl"
    assert read_rows(path) == []
    rows = [{"epoch": epoch, "val_dice": {"kidney": 0.5}} for epoch in range(3)]
    for row in rows:
        append_row(path, row)
    assert read_rows(path) == rows
    keep_rows(path, 2)
    assert read_rows(path) == rows[:2]


def test_only_the_last_line_may_be_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 0}\n{"epoch"')
    assert read_rows(path) == [{"epoch": 0}]
    path.write_text('{"epoch"\n{"epoch": 1}\n')
    with pytest.raises(InputError, match="log.jsonl, line 1"):
        read_rows(path)


def test_needs_neither_mindspore_nor_tensorboard():
    code = (
        "import sys, kidneyseg.model_folder.epoch_log; sys.exit(bool({'mindspore', 'tensorboardX'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_said_with_the_files_name():
    with pytest.raises(InputError, match="/dev/full: expected room on the disk"):
        append_row(Path("/dev/full"), {"epoch": 0})
