"""Where files are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder in the environment variable KIDNEYSEG_CACHE, else ~/.cache/kidneyseg; it need not exist."""
    return Path(os.environ.get("KIDNEYSEG_CACHE", Path.home() / ".cache" / "kidneyseg"))
