"""Set before anything imports MindSpore: see kidneyseg/__init__.py."""

import kidneyseg  # noqa: F401
