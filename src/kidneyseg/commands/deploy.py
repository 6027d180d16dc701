"""Segment scans with exported graphs, computed by the C++ program of ascend310_infer, without MindSpore in Python.

`bash scripts/run_infer_310.sh` builds the program and calls this command. Writes to OUT: preprocess_Result (inputs of
the networks), result_Files (their outputs), time_Result, masks, and scores if the data have true masks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.layouts import find_cases
from kidneyseg.cohort.scans import find_scans
from kidneyseg.commands.options import count_from_0
from kidneyseg.deploy.deployment import Deployment
from kidneyseg.deploy.program import Program
from kidneyseg.export.package import Package, opened, read_package
from kidneyseg.metrics.mask_folder import score_masks
from kidneyseg.metrics.summary import score_fold
from kidneyseg.report.tables import format_table, write_scores
from kidneyseg.system.failures import explain
from kidneyseg.system.files import require_folder
from kidneyseg.volume.nifti import read_mask

FORMATS = {"Ascend310": ("MindIR",), "CPU": ("ONNX", "MindIR")}  # formats that each device reads, the preferred first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg deploy model.zip kits19/data --program build/kidneyseg_infer --out OUT
  kidneyseg deploy mindir scan.nii.gz --program build/kidneyseg_infer --device Ascend310 --device-id 1"""
    parser.add_argument("package", type=Path, help="folder or .zip that `kidneyseg export` wrote")
    parser.add_argument("data", type=Path, help="a scan or a data folder; if it has masks, scores are printed")
    parser.add_argument("--program", type=Path, required=True, help="the compiled program kidneyseg_infer")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: the current one)")
    parser.add_argument(
        "--preprocess",
        choices=["y", "n"],
        default="y",
        help="n: use the input tensors that an earlier run wrote for the same scans (default: y)",
    )
    parser.add_argument("--device", choices=FORMATS, default="Ascend310", help="default: Ascend310")
    parser.add_argument("--device-id", type=count_from_0, default=0, help="number of the NPU (default: 0)")


def run(args: argparse.Namespace) -> int:
    with opened(args.package) as folder:
        return segment(read_package(folder, FORMATS[args.device]), args)


def segment(package: Package, args: argparse.Namespace) -> int:
    """Write masks and scores of the scans that ``args`` names. Returns the exit status."""
    cases = find_labelled(args.data)
    require_folder(args.out)
    deployment = Deployment(package, Program(args.program, args.device, args.device_id), args.out)
    deployment.segment(cases, preprocess=args.preprocess == "y")
    done = [case for case in cases if case.name not in deployment.failures]
    for case in done:
        print(deployment.mask_path(case))
    score(deployment, [case for case in done if case.label])
    for name, error in deployment.failures.items():
        print(f"{name}: failed: {error}", file=sys.stderr)
    return 0 if deployment.complete and not deployment.failures else 1


def find_labelled(data: Path) -> list[Case]:
    """Find the same scans with the same case names as `predict` does, together with their masks."""
    labels = {case.image: case.label for case in find_cases(data)} if data.is_dir() else {}
    return [replace(case, label=labels.get(case.image)) for case in find_scans([data])]


def score(deployment: Deployment, cases: Sequence[Case]) -> None:
    """Score the predictions of ``cases``, which must have true masks; print the scores and write OUT/scores.*."""
    scores = []
    for case in cases:
        try:
            truth = read_mask(case.true_mask_path(), deployment.package.recipe.merge)
            scores.append(score_masks(case.name, read_mask(deployment.mask_path(case)), truth))
        except Exception as error:
            deployment.failures[case.name] = explain(case.name, error)
    if scores:
        gathered = score_fold(scores)
        write_scores(gathered, deployment.out / "scores")
        print(format_table(gathered), end="")
