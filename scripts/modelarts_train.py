"""The boot file of a training job on ModelArts (Huawei Cloud), as in mindspore-ai/models. Not run by us on ModelArts.

  python scripts/modelarts_train.py --data_url URL --train_url URL [--work DIR] [ARGUMENTS OF kidneyseg train]

Copies the folder that `kidneyseg prepare` filled from --data_url to --work, trains, and copies the fold's folder to
--train_url, also if training fails. Where there is ModelArts' package moxing it copies from and to OBS (obs://...);
elsewhere both are folders. Where ModelArts starts a process per device, with a rank table, they are joined: the first
one of a machine copies the data, rank 0 the results. The image needs MindSpore and kidneyseg (pip install .).
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kidneyseg import cli
from kidneyseg.errors import InputError


def copy_folder(source: str, target: str) -> None:
    """Copy a folder with all that is in it, to or from OBS where moxing is there."""
    try:
        import moxing
    except ImportError:
        for url in (source, target):
            if "://" in url:
                raise InputError(
                    url, expected="a folder where there is no moxing", found="a URL", remedy="Run this on ModelArts"
                ) from None
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        moxing.file.copy_parallel(source, target)


def fetch_once(source: str, work: Path) -> None:
    """Copy ``source`` to ``work`` in the first process of this machine that comes here; the others wait for it.

    Raises InputError if something else is there.
    """
    work.mkdir(parents=True, exist_ok=True)
    with open(work.with_name(work.name + ".source"), "a+") as copied:  # the URL, once its folder is there
        fcntl.flock(copied, fcntl.LOCK_EX)
        copied.seek(0)
        if copied.read() == source:
            return
        if any(work.iterdir()):
            raise InputError(
                work, expected="an empty folder", found="files", remedy="Give another --work, or train there directly"
            )
        copy_folder(source, str(work))
        copied.write(source)


def main(words: Sequence[str]) -> int:
    """Returns the exit status of `kidneyseg train`, whose arguments are all that are not named here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data_url", required=True, metavar="URL", help="folder of `kidneyseg prepare`")
    parser.add_argument("--train_url", required=True, metavar="URL", help="where WORK/fold<K> is copied to")
    parser.add_argument("--work", type=Path, default=Path("/cache/work"), metavar="DIR", help="default: /cache/work")
    args, rest = parser.parse_known_args(words)
    try:
        fetch_once(args.data_url, args.work)
        status = cli.main(["train", "--work", str(args.work), *rest])
        from kidneyseg.nets.layers.sum_over_ranks import own_rank  # imports MindSpore

        if own_rank() == 0:
            for fold in args.work.glob("fold*"):
                copy_folder(str(fold), f"{args.train_url.rstrip('/')}/{fold.name}")
    except InputError as error:
        print(f"modelarts_train: error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
