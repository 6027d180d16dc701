"""Export every stage of a trained model as MindIR or ONNX, for deployment, with a JSON file of metadata for inference.

Writes OUT/<stage>.mindir (fixed batch size), OUT/<stage>.dynamic.mindir (any batch size), a .json file for each and
recipe.yaml. `predict -m` and run_infer_310.sh read this folder, or a .zip of it. ONNX files (.onnx, .onnx.json) are
verified in ONNX Runtime: the probabilities must agree with those of the network within 1e-4 (2e-2 with --float16). With
--int8 this check is made before the quantisation; then the fraction of voxels that change their class is printed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kidneyseg.cohort.scans import find_scans
from kidneyseg.errors import InputError
from kidneyseg.export.ascend_operators import where_it_runs
from kidneyseg.export.graph import ExportOptions, Graph
from kidneyseg.export.package import write_zip
from kidneyseg.inference.model import Model
from kidneyseg.model_folder.folder import RECIPE, checkpoint_path, read_checkpoints_recipe
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.system.files import require_folder, require_writable, write_text
from kidneyseg.volume.nifti import read_image

if TYPE_CHECKING:
    import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg export -m work/fold0 -o mindir
  kidneyseg export -m model_zoo/mplab-small -o mindir --batch 16     fixed batch of 16 only
  kidneyseg export -m work/fold0 --format onnx -o model.zip --batch dynamic
  kidneyseg export -m work/fold0 -o for310 --uint8 --float16
  kidneyseg export -m work/fold0 --format onnx --batch 8 -o int8 --int8 kits19/data/case_0000*"""
    parser.add_argument(
        "-m",
        "--model",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="trained model: recipe.yaml and STAGE/best.ckpt, such as WORK/fold0",
    )
    parser.add_argument(
        "--format",
        choices=["mindir", "onnx", "air"],
        default="mindir",
        help="file format; air can be written only on Ascend (default: mindir)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="folder to write to, which is created; or one file ending in .zip",
    )
    parser.add_argument(
        "--batch",
        type=_batch,
        default="both",
        metavar="N|dynamic|both",
        help="images per call: a number; dynamic (any number); or both, which is the recipe's inference.batch_size "
        "and dynamic (default: both)",
    )
    parser.add_argument(
        "--uint8",
        action="store_true",
        help="the input of the graphs is the 8-bit image, which they normalise: a quarter of the bytes to transfer",
    )
    parser.add_argument(
        "--float16", action="store_true", help="convolutions and their weights in float16, as Ascend 310 computes them"
    )
    parser.add_argument(
        "--int8",
        type=Path,
        nargs="+",
        metavar="SCAN",
        help="ONNX only: convolutions in int8, calibrated with these scans (files or folders)",
    )


def run(args: argparse.Namespace) -> int:
    recipe = read_checkpoints_recipe(args.model)
    if args.int8 and (args.format != "onnx" or args.uint8 or args.float16):
        raise InputError(
            "--int8",
            expected="--format onnx, without --uint8 and --float16",
            found="another form",
            remedy="Leave the others out",
        )
    if args.out.suffix != ".zip":
        require_folder(args.out)
        _export(recipe, args, args.out)
        return 0
    require_writable(args.out)
    with tempfile.TemporaryDirectory(prefix="kidneyseg-") as folder:
        _export(recipe, args, Path(folder))
        write_zip(Path(folder), args.out)
    return 0


def _export(recipe: Recipe, args: argparse.Namespace, out: Path) -> None:
    """Write all graphs and the recipe to the folder ``out``; messages name ``args.out``."""
    from kidneyseg.export.metadata import write_metadata  # MindSpore takes seconds to import
    from kidneyseg.model_folder.network import stock_network

    export = _exporter(args.format)
    for stage in recipe.stages:  # reports a bad checkpoint before the first file is written
        stock_network(stage, checkpoint_path(args.model, stage.name))
    images = _calibrate(args.model, args.int8) if args.int8 else {}
    for stage in recipe.stages:
        for batch in _batches(args, stage):
            path = out / f"{stage.name}{'.dynamic' if batch is None else ''}.{args.format}"
            graph = export(stage, args.model, path, ExportOptions(batch, args.uint8, args.float16))
            if args.int8:
                graph = _to_int8(graph, images[stage.name])
            described = write_metadata(graph, recipe, stage, args.model)
            print(f"{args.out / path.name}: {_summary(graph)}; metadata: {described.name}", flush=True)
        if graph.format != "ONNX":
            print(f"  {where_it_runs(graph.operators)}")
    write_text(out / RECIPE, (args.model / RECIPE).read_text(encoding="utf-8"))


def _calibrate(model: Path, scans: Sequence[Path]) -> dict[str, np.ndarray]:
    from kidneyseg.inference.calibration import calibration_images

    cases = find_scans(scans)
    return calibration_images(Model.load(model, "CPU", runtime="auto"), (read_image(case.image) for case in cases))


def _to_int8(graph: Graph, images: np.ndarray) -> Graph:
    """Quantise the exported file of ``graph`` in place, and print how many voxels change their class."""
    import onnx

    from kidneyseg.export.onnx_export import count_operators
    from kidneyseg.export.quantise import quantise_onnx

    changed = quantise_onnx(graph.path, images, graph.path)
    print(f"{graph.path.name}: with int8, {changed:.2%} of the calibration voxels have another class")
    return replace(graph, precision="int8", operators=count_operators(onnx.load(graph.path)))


def _summary(graph: Graph) -> str:
    shape = " x ".join("any" if n is None else str(n) for n in graph.input.shape)
    return f"input {shape} {graph.input.dtype}, {graph.path.stat().st_size / 2**20:.1f} MiB"


def _exporter(name: str) -> Callable[[Stage, Path, Path, ExportOptions], Graph]:
    """Return the export function of a format, and select MindSpore's device for it."""
    from kidneyseg import device

    if name == "air":
        try:
            device.use("Ascend")
        except InputError:
            raise InputError(
                "--format air",
                expected="an Ascend: only MindSpore on Ascend writes AIR",
                found="none here",
                remedy="Export MindIR for MindSpore Lite, or ONNX for ATC",
            ) from None
    else:
        device.use("CPU")  # exporting needs no accelerator, and the file works on all of them
    if name == "onnx":
        from kidneyseg.export.onnx_export import export_onnx  # needs packages that MindIR does not need

        return export_onnx
    from kidneyseg.export.mindir import export_mindir

    return export_mindir


def _batch(text: str) -> int | str:
    if text in ("dynamic", "both"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1, dynamic or both, found {text!r}")


def _batches(args: argparse.Namespace, stage: Stage) -> list[int | None]:
    """List the batch sizes to export; None means any, which AIR does not support."""
    fixed = args.batch if isinstance(args.batch, int) else stage.inference.batch_size
    if args.format == "air" or isinstance(args.batch, int):
        return [fixed]
    return [None] if args.batch == "dynamic" else [fixed, None]
