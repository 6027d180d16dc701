"""`python predict.py ...` is `kidneyseg predict ...`: see `python predict.py --help`."""

import sys

from kidneyseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
