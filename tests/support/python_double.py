"""A `python` for shell scripts of which one module is replaced."""

import os
import sys
from pathlib import Path


def doubled_python(folder: Path, module: str, script: str) -> dict[str, str]:
    """Variables with which `python -m MODULE ARGUMENTS` runs the shell ``script``, any other `python` the real one."""
    folder.mkdir()
    double = folder / "python"
    lines = [f'if [ "${{2-}}" = {module} ]; then', script, "fi", f'exec {sys.executable} "$@"']
    double.write_text("\n".join(["#!/usr/bin/env bash", *lines, ""]))
    double.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
