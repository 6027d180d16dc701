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
    """Add the options `-c RECIPE` and `KEY=VALUE ...`."""
    parser.add_argument(
        "-c",
        "--recipe",
        required=required,
        metavar="RECIPE",
        help="recipe: a YAML file, or the name of one in configs/ (mplab, mplab_small)",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="recipe keys to change, for example stages.coarse.train.epochs=2",
    )


def recipe_from(args: argparse.Namespace) -> Recipe:
    """Load the recipe that ``args`` names and apply the overrides. Raises InputError."""
    return named_recipe(args.recipe, args.overrides)


def named_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load the recipe from the file ``name``, or the one of this name in configs/. Raises InputError."""
    path, known = Path(name), CONFIGS / f"{name}.yaml"
    return load_recipe(known if not path.is_file() and known.exists() else path, overrides)


def labelled_cases(cases: Sequence[Case], data: str | Path) -> list[Case]:
    """Select the ``cases`` that have a mask and print how many have none. Raises InputError if none has a mask."""
    labelled = with_labels(cases, data)
    unlabelled = [case.name for case in cases if case.label is None]
    if unlabelled:
        print(
            f"{data}: {len(unlabelled)} of {len(cases)} cases have no mask and are left out: {shortened(unlabelled)}",
            file=sys.stderr,
        )
    return labelled


def count_from_0(text: str) -> int:
    """Parse a whole number, 0 or more, such as a seed or a fold; a ``type`` for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, found {text!r}")
    return int(text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option `--device`."""
    parser.add_argument(
        "--device",
        choices=["auto", "CPU", "GPU", "Ascend"],
        default="auto",
        help="device to compute on (default: auto, the first of Ascend, GPU, CPU that is available)",
    )


def add_runtime(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options `--runtime` and `--precision`."""
    parser.add_argument(
        "--runtime",
        choices=["auto", *BACKENDS],
        default=default,
        help="software that computes the networks. auto: on a CPU OpenVINO if it is installed, "
        "except for networks of width 32 or more in float32, which run faster on MindSpore with this "
        "project's kernels; otherwise MindSpore. The first run of a model on OpenVINO takes longer: "
        "its ONNX file is written to a cache (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=["auto", "float32", "float16", "bfloat16"],
        default="auto",
        help="number format of the networks. auto: float32 on a CPU, elsewhere that of the training; "
        "bfloat16 is faster on CPUs with AVX-512 BF16 or AMX (default: auto)",
    )


def positive(text: str) -> float:
    """Parse a finite number above 0; a ``type`` for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value
