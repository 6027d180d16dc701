"""Options that several sub-commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.layouts import with_labels
from kidneyseg.errors import shortened
from kidneyseg.recipe import Recipe, load_recipe
from kidneyseg.runtime.select import BACKENDS

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def add_recipe(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """`-c RECIPE` and `KEY=VALUE ...`."""
    parser.add_argument(
        "-c",
        "--recipe",
        required=required,
        metavar="RECIPE",
        help="recipe: a YAML file, or the bare name of one in configs/ (mplab, mplab_small)",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="recipe keys to change, for example stages.coarse.train.epochs=2",
    )


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The validated recipe that ``args`` names, overrides applied. Raises InputError."""
    return named_recipe(args.recipe, args.overrides)


def named_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the file ``name``, or the one that configs/ has of that name. Raises InputError."""
    path, known = Path(name), CONFIGS / f"{name}.yaml"
    return load_recipe(known if not path.is_file() and known.exists() else path, overrides)


def labelled_cases(cases: Sequence[Case], data: str | Path) -> list[Case]:
    """Those of ``cases`` that have a mask; says how many have none. Raises InputError if none has."""
    labelled = with_labels(cases, data)
    bare = [case.name for case in cases if case.label is None]
    if bare:
        print(
            f"{data}: {len(bare)} of {len(cases)} cases have no mask and are left out: {shortened(bare)}",
            file=sys.stderr,
        )
    return labelled


def count_from_0(text: str) -> int:
    """Type of options that take 0, 1, 2, ..., such as seeds and folds."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, found {text!r}")
    return int(text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device",
        choices=["auto", "CPU", "GPU", "Ascend"],
        default="auto",
        help="where to compute (default: auto, the first of Ascend, GPU, CPU that is there)",
    )


def add_runtime(parser: argparse.ArgumentParser, default: str) -> None:
    """`--runtime` and `--precision`."""
    parser.add_argument(
        "--runtime",
        choices=["auto", *BACKENDS],
        default=default,
        help="what computes the networks; auto is OpenVINO on a CPU if it is installed, else "
        "MindSpore, and in float32 MindSpore, too, for networks of width 32 or more, which its "
        "kernels compute faster. OpenVINO's first time with a model takes longer: its ONNX is "
        "made and kept (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=["auto", "float32", "float16", "bfloat16"],
        default="auto",
        help="what they are computed in: auto is float32 on a CPU, elsewhere that of training; "
        "bfloat16 is faster on CPUs with AVX-512 BF16 or AMX (default: auto)",
    )


def positive(text: str) -> float:
    """Type of options that take a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value
