"""The kernels are compiled once, by whoever comes first; without a compiler one warning says so."""

import os
import subprocess
import sys
import warnings

import pytest

from kidneyseg import CAP, cpu_kernels
from kidneyseg.cpu_kernels import build
from kidneyseg.cpu_kernels.processor import processor
from kidneyseg.nets.layers import blocks

BUILD = "from kidneyseg.cpu_kernels.build import compile_kernels; print(compile_kernels())"

BOTH = """
import ctypes
import sys
from pathlib import Path
import kidneyseg
import mindspore as ms
import numpy as np
from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels.build import compile_kernels
from kidneyseg.nets.layers.blocks import conv

stock = conv(2, 16, 16)
networks = [stock, cpu_kernels.accelerate(conv(2, 16, 16))]
networks = networks[::-1] if sys.argv[1] == "ours" else networks
for network in networks:
    network(ms.Tensor(np.ones((1, 16, 8, 8), np.float32))).asnumpy()
private, = compile_kernels().parent.glob(f"dnnl{compile_kernels().stem.removeprefix('kernels-')[:5]}.so")
for library in (Path(ms.__file__).parent / "lib" / "libdnnl.so.3", private):
    print(ctypes.CDLL(str(library)).dnnl_get_effective_cpu_isa())
"""
AVX2 = 7  # dnnl_cpu_isa_avx2


@pytest.fixture
def fresh_library():
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")
def test_two_processes_build_once(tmp_path):
    environment = {**os.environ, "KIDNEYSEG_CACHE": str(tmp_path / "new" / "cache")}
    processes = [
        subprocess.Popen([sys.executable, "-c", BUILD], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    files = sorted(path.name for path in (tmp_path / "new" / "cache").iterdir())
    assert len(paths) == 1 and len(files) == 3 and files[0] == "build.lock"
    assert paths == {str(tmp_path / "new" / "cache" / files[2])}
    assert files[1] == f"dnnl{files[2].removeprefix('kernels-')[:5]}.so"


@pytest.mark.skipif(
    not cpu_kernels.available() or "AVX-512" not in processor(), reason="kernels, or AVX-512, are missing"
)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_our_onednn_takes_all_of_the_cpu_and_mindspores_is_kept_to_avx2(first):
    environment = {name: value for name, value in os.environ.items() if name != CAP}
    done = subprocess.run([sys.executable, "-c", BOTH, first], env=environment, capture_output=True, text=True)
    theirs, ours = map(int, done.stdout.split())
    assert theirs == AVX2 and ours > AVX2


def test_without_a_compiler_the_network_stays_as_it_is(fresh_library, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setenv("KIDNEYSEG_CACHE", str(tmp_path))
    network = blocks.ConvNormAct(2, 1, 4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert cpu_kernels.accelerate(network) is network
        assert not cpu_kernels.available()
    assert len(caught) == 1 and "no-compiler" in str(caught[0].message)


def test_a_cache_that_nothing_runs_from_is_no_error(fresh_library, monkeypatch, tmp_path):
    """Mounted noexec, for example: the loader says so with an OSError."""
    (tmp_path / "kernels.so").write_text("not a library")
    monkeypatch.setattr(build, "compile_kernels", lambda: tmp_path / "kernels.so")
    with pytest.warns(UserWarning, match="slower ones"):
        assert not cpu_kernels.available()


def test_compiler_errors_are_told(fresh_library, monkeypatch, tmp_path):
    compiler = tmp_path / "broken"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1 && exit 0\necho disk full >&2\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("KIDNEYSEG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(build.BuildError, match="disk full"):
        build.compile_kernels()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["build.lock"]
