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
    "cohort": "inspect a data set before training: check, fingerprint, split",
    "simulate": "make synthetic CT from label volumes (SimKiTS) or from scratch (phantom)",
    "doctor": "check what this machine, or a named device, has of what a recipe needs",
    "prepare": "convert volumes to MindRecord training samples",
    "budget": "set the epochs of a recipe to fit a training time",
    "train": "train one stage, or all, of a recipe on one fold",
    "eval": "score a trained recipe on a fold, or score any masks",
    "compare": "train several recipes on the same folds: scores and costs in one table",
    "predict": "segment one scan, several scans, or a folder",
    "report": "one HTML page: scores, curves and pictures of a trained fold",
    "deploy": "segment with exported graphs and the C++ inference program",
    "export": "export every stage as MindIR or ONNX, with the metadata that inference needs",
    "benchmark": "measure the speed of this project and of other software in one run",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        argv: command line without the program's name; default: ``sys.argv[1:]``. ``--debug`` at any place adds the
            traceback of an error.

    Returns:
        Exit status. 2: bad input, 1: another failure, both with one line on stderr; 130: interrupted.
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
    parser.add_argument(DEBUG, action="store_true", help="print the traceback of an error; at any place in the command")
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
    if rest:  # argparse collects only one group of positional words, but KEY=VALUE may stand at any place
        from kidneyseg.recipe.files import split_override  # pydantic takes time to import

        if not hasattr(args, "overrides") or any(word.startswith("-") or not split_override(word) for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
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
