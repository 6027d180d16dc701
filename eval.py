"""`python eval.py ...` is `kidneyseg eval ...`: see `python eval.py --help`."""

import sys

from kidneyseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["eval", *sys.argv[1:]]))
