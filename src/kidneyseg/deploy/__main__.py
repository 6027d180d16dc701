"""What scripts/run_infer_310.sh calls once the inference program is built: `python -m kidneyseg.deploy --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kidneyseg.atomic import require_folder
from kidneyseg.commands.common import count_from_0
from kidneyseg.commands.predict import find_scans
from kidneyseg.data.cohort import Case, find_cases
from kidneyseg.deploy.cascade import Deployment
from kidneyseg.deploy.program import Program
from kidneyseg.export.package import Package, opened, read_package
from kidneyseg.failures import explain
from kidneyseg.metrics.evaluate import score_masks
from kidneyseg.metrics.fold import score_fold
from kidneyseg.report.tables import format_table, write_scores
from kidneyseg.volume.nifti import read_mask

FORMATS = {"Ascend310": ("MindIR",), "CPU": ("ONNX", "MindIR")}  # what each device target takes, the better first


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 2 after an error, said in one line on stderr."""
    args = _parser().parse_args(argv)
    try:
        return run(args)
    except Exception as error:
        print(f"run_infer_310: error: {explain(args.data, error)}", file=sys.stderr)
        return 2


def run(args: argparse.Namespace) -> int:
    with opened(args.package) as folder:
        return segment(read_package(folder, FORMATS[args.device]), args)


def segment(package: Package, args: argparse.Namespace) -> int:
    """Write masks and scores of the scans that ``args`` names; returns the exit status."""
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
    """The scans that `predict` finds at ``data``, under its names, with the masks that lie beside them."""
    labels = {case.image: case.label for case in find_cases(data)} if data.is_dir() else {}
    return [replace(case, label=labels.get(case.image)) for case in find_scans([data])]


def score(deployment: Deployment, cases: Sequence[Case]) -> None:
    """Print the scores of the masks of ``cases``, which have true ones, and write them to OUT/scores.*."""
    scores = []
    for case in cases:
        try:
            truth = read_mask(case.label, deployment.package.recipe.merge)
            scores.append(score_masks(case.name, read_mask(deployment.mask_path(case)), truth))
        except Exception as error:
            deployment.failures[case.name] = explain(case.name, error)
    if scores:
        gathered = score_fold(scores)
        write_scores(gathered, deployment.out / "scores")
        print(format_table(gathered), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kidneyseg.deploy",
                                     description="Segment scans with exported graphs, run by ascend310_infer.")
    parser.add_argument("package", type=Path, help="folder or .zip that `kidneyseg export` wrote")
    parser.add_argument("data", type=Path, help="a scan or a data folder; where it has masks, scores are printed")
    parser.add_argument("--program", type=Path, required=True, help="the built kidneyseg_infer")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: the current one)")
    parser.add_argument("--preprocess", choices=["y", "n"], default="y",
                        help="n takes the tensors that an earlier run made of the same scans (default: y)")
    parser.add_argument("--device", choices=FORMATS, default="Ascend310", help="default: Ascend310")
    parser.add_argument("--device-id", type=count_from_0, default=0, help="which of several NPUs (default: 0)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
