"""Compiles the C++ kernels of this package once per machine and set of versions."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import platform
import subprocess
import warnings
from functools import cache
from importlib import metadata, util
from pathlib import Path

from kidneyseg.system.cache import cache_folder, forget_unused, keep
from kidneyseg.system.cores import thread_count

NAME = b"\0libdnnl.so.3\0"
SOURCE = Path(__file__).parent / "source"
# -fno-math-errno and -fno-trapping-math let the compiler vectorise; unlike -ffast-math they keep NaN and rounding.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
)


class BuildError(Exception):
    """The kernels cannot be had on this machine; says why."""


@cache
def library() -> Path | None:
    """Path of the compiled kernels, compiled now if need be; None with one warning where that is impossible."""
    try:
        path = compile_kernels()
        # Not left to C++: MindSpore sets OMP_NUM_THREADS=1 in the process's environment when it compiles a graph.
        ctypes.CDLL(str(path)).kidneyseg_set_threads(thread_count())
        return path
    except (BuildError, OSError) as error:  # OSError: compiled, but nothing may run from the cache
        warnings.warn(
            f"The fast CPU kernels cannot be built ({error}); MindSpore's own, slower ones are used.", stacklevel=3
        )
        return None


def compile_kernels() -> Path:
    """Returns the path of the compiled kernels in the cache, compiling them where they are not there yet.

    A library in the cache folder is named by all it depends on: source, compiler, flags, MindSpore and processor (a
    home may be shared by machines). Processes that start together wait for the first of them. Raises BuildError.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise BuildError(f"they are for Linux on x86_64, this is {platform.system()} on {platform.machine()}")
    onednn = _mindspore_onednn()
    compiler = os.environ.get("CXX", "g++")
    cache = cache_folder()
    fingerprint = _fingerprint(compiler)
    target, private = cache / f"kernels-{fingerprint}.so", cache / f"dnnl{fingerprint[:5]}.so"
    if target.exists() and private.exists():
        keep(target)
        keep(private)
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / "build.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (target.exists() and private.exists()):
                forget_unused()
                _compile(compiler, onednn, private, target)
    except OSError as error:
        raise BuildError(f"the cache {cache} cannot be written: {error}") from error
    return target


def _mindspore_onednn() -> Path:
    """The oneDNN 3 in MindSpore's wheel."""
    package = util.find_spec("mindspore")
    found = Path(package.origin).parent / "lib" / "libdnnl.so.3" if package and package.origin else None
    if found is None or not found.exists():
        raise BuildError("this MindSpore has no lib/libdnnl.so.3")
    return found


def _fingerprint(compiler: str) -> str:
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"no C++ compiler: {error}") from error
    processor = next(
        (line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("flags")), ""
    )
    digest = hashlib.sha256()
    for part in (version, *FLAGS, metadata.version("mindspore"), str(_mindspore_onednn()), processor):
        digest.update(part.encode() + b"\0")
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _compile(compiler: str, onednn: Path, private: Path, target: Path) -> None:
    """Make ``target``, which loads ``private``, a copy of MindSpore's oneDNN, from its own folder.

    A copy, for oneDNN has one limit of instruction sets for all who use it, settled by who comes first. MindSpore's
    operators must be kept to AVX2 (kidneyseg/__init__.py: from AVX-512 on, oneDNN 3.10 offers ``jit_uni_ncsp``, which
    takes tensors as MindSpore has them and is the reference loop inside; nothing but the limit turns it off), and ours
    want all. Sharing one library, ours lost in every prediction, where MindSpore's softmax comes first; where ours came
    first, MindSpore's convolutions took 40 to 100 times longer from then on. A copy costs 45 MiB of a process's memory.
    To the loader a library is its name (SONAME), so the copy's is another one, as long as the first.
    """
    unfinished, copy = (path.with_suffix(f".{os.getpid()}.tmp") for path in (target, private))
    command = [
        compiler,
        *FLAGS,
        *map(str, sorted(SOURCE.glob("*.cc"))),
        str(copy),
        "-Wl,-rpath,$ORIGIN",
        "-o",
        str(unfinished),
    ]
    try:
        content = onednn.read_bytes()
        if content.count(NAME) != 1:
            raise BuildError(f"{onednn} does not hold its name once")
        copy.write_bytes(content.replace(NAME, b"\0%s\0" % private.name.encode()))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"{compiler} failed:\n{done.stderr[-2000:]}")
        os.replace(copy, private)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)
