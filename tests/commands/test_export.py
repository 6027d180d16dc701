"""Bad input to `kidneyseg export`; what it writes is tested in tests/export."""

import pytest
from tiny_model import save_tiny_model

from kidneyseg import cli


def _no_model(tmp):
    return ["-m", str(tmp / "nowhere"), "-o", str(tmp / "out")], ["nowhere", "model folder"]


def _no_checkpoint(tmp):
    save_tiny_model(tmp / "model")
    (tmp / "model" / "coarse" / "best.ckpt").unlink()
    return ["-m", str(tmp / "model"), "-o", str(tmp / "out")], ["coarse/best.ckpt", "--stage coarse"]


def _out_is_a_file(tmp):
    save_tiny_model(tmp / "model")
    (tmp / "out").write_text("")
    return ["-m", str(tmp / "model"), "-o", str(tmp / "out")], ["out", "a folder"]


def _damaged_checkpoint(tmp):
    save_tiny_model(tmp / "model")
    (tmp / "model" / "coarse" / "best.ckpt").write_bytes(b"")
    return ["-m", str(tmp / "model"), "-o", str(tmp / "out")], ["coarse/best.ckpt", "damaged"]


@pytest.mark.parametrize("make", [_no_model, _no_checkpoint, _out_is_a_file, _damaged_checkpoint])
def test_bad_input_is_one_line_and_leaves_nothing(make, tmp_path, capsys):
    args, words = make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert cli.main(["export", *args]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kidneyseg export: error: ")]
    assert len(error) == 1 and all(word in error[0] for word in ("expected", "found", *words))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("batch", ["0", "-1", "some"])
def test_batch_must_be_a_number_dynamic_or_both(batch, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", "-m", "model", "-o", "out", "--batch", batch])
    assert "--batch" in capsys.readouterr().err
