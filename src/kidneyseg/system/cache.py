"""Where files are kept that can be made again."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

# What is kept there; the folder may be somebody else's, too.
OURS = ("kernels-*.so", "dnnl" + "[0-9a-f]" * 5 + ".so", "*-" + "[0-9a-f]" * 16 + ".onnx")
KEPT_DAYS = 60


def cache_folder() -> Path:
    """The folder in the environment variable KIDNEYSEG_CACHE, else ~/.cache/kidneyseg; it need not exist."""
    return Path(os.environ.get("KIDNEYSEG_CACHE", Path.home() / ".cache" / "kidneyseg"))


def keep(path: Path) -> None:
    """Count ``path``, a file of the cache, as used now."""
    with contextlib.suppress(OSError):  # the cache of an image, which only its maker may write
        os.utime(path)


def forget_unused() -> None:
    """Delete what nobody has used for ``KEPT_DAYS`` days: every version and every checkpoint leaves files behind."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for pattern in OURS:
        for path in cache_folder().glob(pattern):
            with contextlib.suppress(OSError):  # another process was faster
                if path.stat().st_mtime < oldest:
                    path.unlink()
