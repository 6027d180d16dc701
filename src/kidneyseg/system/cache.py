"""The cache folder, for files that can be made again."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

# Names of this project's files; other programs may use the folder too.
OWN = ("kernels-*.so", "dnnl" + "[0-9a-f]" * 5 + ".so", "*-" + "[0-9a-f]" * 16 + ".onnx")
KEPT_DAYS = 60


def cache_folder() -> Path:
    """Return the folder in the environment variable KIDNEYSEG_CACHE, or ~/.cache/kidneyseg; it may not exist."""
    return Path(os.environ.get("KIDNEYSEG_CACHE", Path.home() / ".cache" / "kidneyseg"))


def keep(path: Path) -> None:
    """Mark ``path``, a file of the cache, as used now."""
    with contextlib.suppress(OSError):  # the cache in a container image may be read-only
        os.utime(path)


def forget_unused() -> None:
    """Delete files not used for ``KEPT_DAYS`` days; every version and every checkpoint adds files."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for pattern in OWN:
        for path in cache_folder().glob(pattern):
            with contextlib.suppress(OSError):  # another process may have deleted it
                if path.stat().st_mtime < oldest:
                    path.unlink()
