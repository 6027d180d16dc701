"""Removal of home folder and user name from records, reports and summaries, which may be shared."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path
from typing import Any


def without_user(value: Any) -> Any:
    """Replace the home folder by ``~``, and other folders with the user's name by ``$USER``, in all texts of ``value``.

    Returns:
        The value as JSON types. A shell of any user can still use the paths.
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
    except (KeyError, OSError):  # a user without a name, in a container
        return ""
