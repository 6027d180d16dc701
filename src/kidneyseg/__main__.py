"""`python -m kidneyseg` is the `kidneyseg` command."""

from __future__ import annotations

import sys

from kidneyseg.cli import main
from kidneyseg.system.peak_memory import report_peak

if __name__ == "__main__":
    status = main()
    report_peak()
    sys.exit(status)
