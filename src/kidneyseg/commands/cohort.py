"""Inspect a data set before training: check every file, describe it, split it into folds, or print where to get it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from kidneyseg.cohort.check import Fault, check_cohort, leftover_faults
from kidneyseg.cohort.fingerprint import fingerprint
from kidneyseg.cohort.folds import load_splits, make_splits, save_splits, tumour_volumes
from kidneyseg.cohort.layouts import find_cases, read_cohort
from kidneyseg.commands.options import count_from_0, labelled_cases
from kidneyseg.errors import InputError, shortened
from kidneyseg.system.files import require_folder
from kidneyseg.system.worker_pool import default_workers, require_all

EXAMPLES = """examples:
  kidneyseg cohort check kits19/data
  kidneyseg cohort fingerprint kits19/data --json > fingerprint.json
  kidneyseg cohort split kits19/data --work work --folds 5 --seed 2022
  kidneyseg cohort download"""

SOURCES = """KiTS is published by its authors. Its scans are CC BY-NC-SA; download them from the authors' servers.

KiTS19, 210 labelled scans, labels 1 kidney (with cysts) and 2 tumour:
  git clone https://github.com/neheller/kits19 && cd kits19
  pip install -r requirements.txt && python -m starter_code.get_imaging
  kidneyseg cohort check kits19/data

KiTS23, 489 labelled scans, labels 1 kidney, 2 tumour, 3 cyst:
  git clone https://github.com/neheller/kits23 && cd kits23
  pip install -e . && kits23_download_data
  kidneyseg cohort check kits23/dataset --labels 1 2 3"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    check = _action(
        actions, "check", "read every case and list all faults in one table; exit status 1 if there are any", _check
    )
    check.add_argument(
        "--labels",
        nargs="+",
        type=int,
        default=[1, 2],
        metavar="N",
        help="labels that masks may contain besides 0 (default: 1 2; KiTS21 and KiTS23: 1 2 3)",
    )
    check.add_argument("--json", action="store_true", help="print the faults as JSON instead of a table")

    describe = _action(
        actions, "fingerprint", "spacing, size, intensities and label volumes of a data set", _fingerprint
    )
    describe.add_argument(
        "--json", action="store_true", help="print all values, including those of each case, as JSON instead of tables"
    )

    split = _action(
        actions, "split", "write cross-validation folds, stratified by tumour volume, to WORK/splits.json", _split
    )
    split.add_argument("--work", type=Path, required=True, help="folder in which splits.json is written")
    split.add_argument("--folds", type=int, default=5, help="number of folds (default: 5)")
    split.add_argument("--seed", type=count_from_0, default=2022, help="seed of the random split (default: 2022)")
    split.add_argument("--overwrite", action="store_true", help="replace a splits.json with other folds")

    download = actions.add_parser(
        "download",
        help="print how to get KiTS19 and KiTS23 from their authors",
        description="Print how to get KiTS19 and KiTS23 from their authors; downloads nothing.",
    )
    download.set_defaults(action_run=_download)


def run(args: argparse.Namespace) -> int:
    return args.action_run(args)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    line: str,
    function: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=line,
        description=line[0].upper() + line[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="data folder: KiTS case folders, nnU-Net raw, images/ + labels/, or NAME + NAME_seg files",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=default_workers(),
        help="number of processes; each needs up to 2 GiB on full-size scans (default: one per CPU, %(default)s)",
    )
    parser.set_defaults(action_run=function)
    return parser


def _check(args: argparse.Namespace) -> int:
    cohort = read_cohort(args.data)
    cases, leftovers = cohort.cases, leftover_faults(cohort.leftovers)
    of_cases = check_cohort(cases, args.labels, workers=args.workers)
    faults = of_cases + leftovers
    unlabelled = [case.name for case in cases if case.label is None]
    if args.json:
        report = {"cases": len(cases), "without_mask": unlabelled, "faults": [asdict(fault) for fault in faults]}
        print(json.dumps(report, indent=1))
        return 1 if faults else 0
    if faults:
        _print_faults(faults, args.data)
        print()
    if 0 < len(unlabelled) < len(cases):
        print(
            f"{len(unlabelled)} of {len(cases)} cases have no mask: {shortened(unlabelled)}; training leaves them out"
        )
    if of_cases:
        print(f"{len(of_cases)} faults in {len({fault.case for fault in of_cases})} of {len(cases)} cases")
    if leftovers:
        print(f"{len(leftovers)} files or folders belong to no case")
    if not faults:
        print(f"{len(cases)} cases, no faults")
    return 1 if faults else 0


def _print_faults(faults: Sequence[Fault], data: Path) -> None:
    rows = [(fault.case, _inside(fault.file, data), fault.found, fault.expected) for fault in faults]
    _print_table(("case", "file", "found", "expected"), rows)
    print()
    for remedy in dict.fromkeys(fault.remedy for fault in faults):
        print(f"- {remedy}")


def _inside(file: str, data: Path) -> str:
    return str(Path(file).relative_to(data)) if Path(file).is_relative_to(data) else file


def _fingerprint(args: argparse.Namespace) -> int:
    cases = find_cases(args.data)
    if any(case.label for case in cases):
        cases = labelled_cases(cases, args.data)
    found = fingerprint(cases, workers=args.workers)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        _print_fingerprint(found["summary"])
    require_all(found["failed"], len(cases))
    return 0


def _print_fingerprint(summary: dict) -> None:
    print(
        f"{summary['cases']} cases; file axes grow towards "
        + ", ".join(f"{name} ({count})" for name, count in summary["orientations"].items())
        + "\n"
    )
    spreads = [
        (name, summary[key], digits)
        for name, key, digits in (
            ("spacing, mm (z, y, x)", "spacing_mm", 2),
            ("size, voxels (z, y, x)", "shape", 0),
            ("extent, mm (z, y, x)", "extent_mm", 0),
        )
    ]
    spreads += [
        (f"label {label}, ml, in {one['cases']} cases, {one['components']} pieces", one["ml"], 1)
        for label, one in summary["labels"].items()
    ]
    _print_table(
        ("", "min", "median", "max"),
        [
            (name, *(_numbers(spread[key], digits) for key in ("min", "median", "max")))
            for name, spread, digits in spreads
        ],
    )
    print()
    parts = {part: hu for part, hu in summary["hu"].items() if hu}
    headings = [key if key in ("mean", "sd") else f"{key[1:]} %" for key in next(iter(parts.values()), {})]
    _print_table(
        ("HU in", *headings), [(part, *(f"{value:.0f}" for value in hu.values())) for part, hu in parts.items()]
    )


def _numbers(value: float | Sequence[float], digits: int) -> str:
    return " x ".join(f"{v:.{digits}f}" for v in (value if isinstance(value, list) else [value]))


def _split(args: argparse.Namespace) -> int:
    path = args.work / "splits.json"
    require_folder(args.work)
    cases = labelled_cases(find_cases(args.data), args.data)
    volumes = tumour_volumes(cases, workers=args.workers)
    splits = make_splits(volumes, args.folds, args.seed)
    if path.exists() and not args.overwrite and load_splits(path) != splits:
        raise InputError(
            path,
            expected="no file, or one with the same folds",
            found="other folds",
            remedy="Pass --overwrite, but models trained on the old folds cannot be scored on the new ones",
        )
    save_splits(splits, path)
    rows = []
    for number, fold in enumerate(splits["folds"]):
        held_out = [volumes[name] for name in fold["val"]]
        rows.append((str(number), str(len(fold["train"])), str(len(held_out)), f"{sum(held_out) / len(held_out):.1f}"))
    _print_table(("fold", "train", "val", "mean tumour in val, ml"), rows)
    print(f"\nwritten to {path}")
    return 0


def _download(args: argparse.Namespace) -> int:
    print(SOURCES)
    return 0


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with left-aligned columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    for row in (headings, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
