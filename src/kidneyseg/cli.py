"""The `kidneyseg` command: one table of sub-commands, each imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from kidneyseg import __version__
from kidneyseg.errors import InputError
from kidneyseg.system.failures import LOG, explain

DEBUG = "--debug"
COMMANDS = {
    "demo": "phantom cohort -> train -> score -> predict -> report, in minutes on two cores",
    "cohort": "look at a data set before trusting it: check, fingerprint, split",
    "simulate": "CT from label volumes (SimKiTS) or from nothing (phantom)",
    "doctor": "does this machine, or a named device, have what a recipe needs",
    "prepare": "volumes -> MindRecord",
    "budget": "a recipe cut to a training time",
    "train": "train one stage, or all, of a recipe on one fold",
    "eval": "fold scores of a trained recipe, or scores of anybody's masks",
    "compare": "several recipes on the same folds: scores and costs in one table",
    "predict": "segment one scan, many, or a folder",
    "report": "one HTML page: scores, curves and pictures of a trained fold",
    "deploy": "segment with exported graphs and the C++ inference program",
    "export": "MindIR or ONNX of every stage with what inference needs beside it",
    "benchmark": "speed beside the peers, in one run",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status.

    2: bad input, 1: another failure; both are said in one line on stderr. ``--debug``, anywhere, adds the traceback.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if DEBUG in argv:
        argv = [word for word in argv if word != DEBUG]
        logging.basicConfig(format="%(message)s")
        LOG.setLevel(logging.DEBUG)
    parser = argparse.ArgumentParser(
        prog="kidneyseg",
        description="Kidney and kidney-tumour segmentation on CT with MindSpore.",
        epilog="`kidneyseg COMMAND --help` explains each. Start with `kidneyseg demo`.",
    )
    parser.add_argument(DEBUG, action="store_true", help="show where an error happened; may stand anywhere")
    parser.add_argument("--version", action="version", version=f"kidneyseg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, line in COMMANDS.items():
        sub = commands.add_parser(
            name, help=line, description=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = importlib.import_module(f"kidneyseg.commands.{name}")
            sub.description = module.__doc__
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    args, rest = parser.parse_known_args(argv)
    if rest and not (hasattr(args, "overrides") and all("=" in word and word[0] != "-" for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # argparse takes one group of positional words; KEY=VALUE may stand anywhere
        args.overrides += rest
    try:
        return args.run(args)
    except InputError as error:
        LOG.debug("", exc_info=error)
        print(f"kidneyseg {args.command}: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        LOG.debug("", exc_info=error)
        other = ", or give `predict` a package of `kidneyseg export --format onnx`" if error.name == "mindspore" else ""
        print(
            f"kidneyseg {args.command}: error: expected the package {error.name}, found none. Install it as the "
            f"README says{other}",
            file=sys.stderr,
        )
        return 2
    except Exception as error:
        print(f"kidneyseg {args.command}: error: {explain(args.command, error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"kidneyseg {args.command}: interrupted", file=sys.stderr)
        return 130
