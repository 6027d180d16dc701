"""`python train.py ...` is `kidneyseg train ...`: see `python train.py --help`."""

import sys

from kidneyseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
