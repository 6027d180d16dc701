"""`python export.py ...` is `kidneyseg export ...`: see `python export.py --help`."""

import sys

from kidneyseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
