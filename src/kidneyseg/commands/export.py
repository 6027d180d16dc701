"""MindIR or ONNX of every stage of a trained model, for deployment, with a JSON of what inference needs beside each.

Writes OUT/<stage>.mindir (fixed batch), OUT/<stage>.dynamic.mindir (any batch) and a .json beside each. ONNX
(.onnx, .onnx.json) is run in ONNX Runtime at once: its probabilities must be the network's up to 1e-4.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kidneyseg.atomic import require_folder
from kidneyseg.errors import InputError
from kidneyseg.inference.model import checkpoint_path, read_model_recipe
from kidneyseg.recipe import Stage

if TYPE_CHECKING:
    from kidneyseg.export.graph import Graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg export -m work/fold0 -o mindir
  kidneyseg export -m model_zoo/mplab-small -o mindir --batch 16     fixed batch of 16 only
  kidneyseg export -m work/fold0 --format onnx -o onnx --batch dynamic"""
    parser.add_argument("-m", "--model", type=Path, required=True, metavar="FOLDER",
                        help="trained model: recipe.yaml and STAGE/best.ckpt, such as WORK/fold0")
    parser.add_argument("--format", choices=["mindir", "onnx", "air"], default="mindir",
                        help="file format; air only Ascend can write (default: mindir)")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder to write to; it is made")
    parser.add_argument("--batch", type=_batch, default="both", metavar="N|dynamic|both",
                        help="images per call: a number, dynamic (any), or both, the recipe's inference.batch_size "
                             "and dynamic (default: both)")


def run(args: argparse.Namespace) -> int:
    if args.format == "air":
        raise InputError("--format air", expected="mindir or onnx", found="air, which only MindSpore on Ascend writes",
                         remedy="Export MindIR for MindSpore Lite, or ONNX for Ascend's ATC")
    recipe = read_model_recipe(args.model)
    require_folder(args.out)
    from kidneyseg import device  # MindSpore takes seconds to import
    from kidneyseg.export.metadata import write_metadata
    from kidneyseg.inference.networks import stock_network

    device.use("CPU")  # writing a graph needs no accelerator, and the file suits them all
    export = _exporter(args.format)
    for stage in recipe.stages:  # a bad checkpoint is said before the first file is written
        stock_network(stage, checkpoint_path(args.model, stage.name))
    for stage in recipe.stages:
        for batch in _batches(args.batch, stage):
            path = args.out / f"{stage.name}{'.dynamic' if batch is None else ''}.{args.format}"
            graph = export(stage, args.model, path, batch)
            described = write_metadata(graph, recipe, stage, args.model)
            shape = " x ".join("any" if n is None else str(n) for n in graph.input.shape)
            size = path.stat().st_size / 2**20
            print(f"{path}: input {shape}, {size:.1f} MiB; {described.name} beside it", flush=True)
    return 0


def _exporter(name: str) -> Callable[[Stage, Path, Path, int | None], Graph]:
    if name == "onnx":
        from kidneyseg.export.onnx_file import export_onnx  # asks for packages that MindIR does without

        return export_onnx
    from kidneyseg.export.mindir import export_mindir

    return export_mindir


def _batch(text: str) -> int | str:
    if text in ("dynamic", "both"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1, dynamic or both, found {text!r}")


def _batches(wanted: int | str, stage: Stage) -> list[int | None]:
    """Batch sizes to export; None is any."""
    return {"dynamic": [None], "both": [stage.inference.batch_size, None]}.get(wanted, [wanted])
