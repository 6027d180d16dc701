"""What is in the cache goes when it has not been used for long."""

import os
import time

from kidneyseg.system import cache


def test_only_our_own_files_go_and_only_those_not_used_for_long(tmp_path, monkeypatch):
    monkeypatch.setenv("KIDNEYSEG_CACHE", str(tmp_path))
    names = [
        "kernels-0123456789abcdef.so",
        "fine-0123456789abcdef.onnx",
        "coarse-fedcba9876543210.onnx",
        "dnnl01234.so",
        "build.lock",
        "resnet34.onnx",
        "notes.txt",
        "dnnl.so",
    ]
    long_ago = time.time() - (cache.KEPT_DAYS + 1) * 24 * 3600
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (long_ago, long_ago))
    cache.keep(tmp_path / "fine-0123456789abcdef.onnx")
    cache.keep(tmp_path / "never there")
    cache.forget_unused()
    assert {path.name for path in tmp_path.iterdir()} == {*names[4:], "fine-0123456789abcdef.onnx"}


def test_a_cache_that_is_not_there_has_nothing_to_forget(tmp_path, monkeypatch):
    monkeypatch.setenv("KIDNEYSEG_CACHE", str(tmp_path / "none"))
    cache.forget_unused()
    assert not (tmp_path / "none").exists()
