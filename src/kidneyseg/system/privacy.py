"""Records, reports and summaries get shared: they hold no home folder and no user name."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path
from typing import Any


def without_user(value: Any) -> Any:
    """``value``, JSON-ready, with every path in its texts as a shell would take it from any user.

    The home folder is ``~``; elsewhere a folder that is called like the user is ``$USER``.
    """
    if isinstance(value, (str, Path)):
        return _hide(str(value))
    if isinstance(value, dict):
        return {key: without_user(item) for key, item in value.items()}
    return [without_user(item) for item in value] if isinstance(value, (list, tuple)) else value


def _hide(text: str) -> str:
    home = os.path.expanduser("~")
    for folder in {home, os.path.realpath(home)} - {"~", "/"}:
        text = re.sub(rf"(?<![\w./~-]){re.escape(folder)}(?![\w.-])", "~", text)
    user = _user()
    return re.sub(rf"(?<=/){re.escape(user)}(?![\w.-])", "$USER", text) if user else text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
