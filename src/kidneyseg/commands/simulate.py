"""Make synthetic CT with exact ground truth: scans around KiTS masks (SimKiTS), lesions in real scans, or phantoms."""

from __future__ import annotations

import argparse
from pathlib import Path

from kidneyseg.cohort.layouts import find_cases, require_labels
from kidneyseg.commands.options import count_from_0
from kidneyseg.errors import InputError
from kidneyseg.simulation.lesion_cases import LesionCase, lesion_case
from kidneyseg.simulation.phantom import write_cohort
from kidneyseg.simulation.phase_cases import PhaseCase, phase_case
from kidneyseg.simulation.simulated_cohort import SimulatedCase, claim_folder, find_labels, simulate_case
from kidneyseg.system.files import require_folder
from kidneyseg.system.worker_pool import default_workers, require_workers, run_cases
from kidneyseg.volume.contrast_phase import NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg simulate --phantom 20 phantoms                     20 phantoms, labels 1 kidney and 2 tumour
  kidneyseg simulate kits23/dataset simkits --kits19 --spacing 3.22 1.62 1.62
  kidneyseg simulate kits23/dataset withtumours --onto healthy --copies 5     5 cases of each scan in healthy
  kidneyseg simulate --phase unenhanced contrast_ct without_contrast           each scan with the contrast removed

After an interruption the same command continues: finished cases are kept."""
    parser.add_argument(
        "labels",
        type=Path,
        nargs="?",
        metavar="LABELS",
        help="folder of KiTS masks, case_00000/segmentation.nii.gz; with --phase: data folder of scans with masks; not "
        "with --phantom",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for case_00000/{imaging,segmentation}.nii.gz")
    parser.add_argument("--phantom", type=int, metavar="N", help="make N phantoms, which need no input")
    parser.add_argument(
        "--onto",
        type=Path,
        metavar="COHORT",
        help="insert the tumours and cysts of the masks into the kidneys of these real scans with kidney masks (label "
        "1); cases are called NAME_lesions00, NAME_lesions01, ...",
    )
    parser.add_argument("--copies", type=int, metavar="N", help="with --onto: cases per scan (default: 1)")
    parser.add_argument(
        "--phase",
        choices=NAMES,
        help="change the scans of the data folder LABELS to this contrast phase and keep their masks; cases are called "
        "NAME_PHASE",
    )
    parser.add_argument("--cysts", action="store_true", help="phantoms with cysts, label 3 (default: without)")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="masks to use (default: all)")
    parser.add_argument(
        "--spacing",
        nargs=3,
        type=float,
        metavar=("Z", "Y", "X"),
        help="resample the masks to this spacing in mm first, for small cases (default: keep their own)",
    )
    parser.add_argument("--kits19", action="store_true", help="merge cysts (3) into kidney (1), as KiTS19 labels them")
    parser.add_argument(
        "--seed", type=count_from_0, default=19, help="the same seed gives exactly the same voxels (default: 19)"
    )
    parser.add_argument(
        "--workers", type=int, default=default_workers(), help="number of processes (default: one per CPU, %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    require_workers(args.workers)
    require_folder(args.out)
    if args.phantom is not None:
        cases = _phantoms(args)
    else:
        cases = _phases(args) if args.phase else _lesions(args) if args.onto else _simkits(args)
    print(f"{cases} cases in {args.out}")
    return 0


def _phantoms(args: argparse.Namespace) -> int:
    if args.phantom < 1:
        raise InputError(
            "--phantom", expected="at least 1", found=str(args.phantom), remedy="Give the number of phantoms"
        )
    _refuse(args, "LABELS", args.labels)
    for option in ("cases", "spacing", "kits19", "onto", "copies", "phase"):
        _refuse(args, f"--{option}", getattr(args, option))
    return len(write_cohort(args.out, args.phantom, args.seed, cysts=args.cysts, workers=args.workers))


def _refuse(args: argparse.Namespace, option: str, value: object) -> None:
    if value:
        if args.phantom is not None:
            other = "--phantom, which makes its own masks"
        elif args.phase:
            other = "--phase, which keeps scans and masks as they are"
        elif args.onto:
            other = "--onto, which keeps the scans as they are"
        else:
            other = "masks alone"
        raise InputError(option, expected=f"no {option} with {other}", found=str(value), remedy="Give one or the other")


def _lesions(args: argparse.Namespace) -> int:
    for option in ("cysts", "spacing", "kits19"):
        _refuse(args, f"--{option}", getattr(args, option))
    copies = 1 if args.copies is None else args.copies
    if copies < 1:
        raise InputError("--copies", expected="at least 1", found=str(copies), remedy="Give 1 or more")
    masks = tuple(_find_masks(args).values())
    sources = require_labels(find_cases(args.onto), args.onto)
    claim_folder(args.out, {"lesions": 1, "seed": args.seed, "masks": len(masks)})
    names = [(source, f"{source.name}_lesions{copy:02}") for source in sources for copy in range(copies)]
    jobs = [LesionCase(name, source, masks, args.out / name, args.seed) for source, name in names]
    run_cases(lesion_case, jobs, [job.name for job in jobs], workers=args.workers, title="simulate")
    return len(jobs)


def _phases(args: argparse.Namespace) -> int:
    for option in ("cases", "cysts", "spacing", "kits19", "onto", "copies"):
        _refuse(args, f"--{option}", getattr(args, option))
    if args.labels is None:
        raise InputError(
            "simulate --phase",
            expected="COHORT and OUT",
            found="one folder",
            remedy="Give the cohort and the output folder",
        )
    sources = require_labels(find_cases(args.labels), args.labels)
    claim_folder(args.out, {"phase": args.phase, "seed": args.seed})
    names = [(source, f"{source.name}_{args.phase}") for source in sources]
    jobs = [PhaseCase(name, source, args.phase, args.out / name, args.seed) for source, name in names]
    run_cases(phase_case, jobs, [job.name for job in jobs], workers=args.workers, title="simulate")
    return len(jobs)


def _find_masks(args: argparse.Namespace) -> dict[str, Path]:
    if args.labels is None:
        raise InputError(
            "simulate",
            expected="LABELS and OUT, or --phantom N and OUT",
            found="one folder",
            remedy="Give the folder of masks and the output folder",
        )
    return find_labels(args.labels, args.cases)


def _simkits(args: argparse.Namespace) -> int:
    for option in ("cysts", "copies"):
        _refuse(args, f"--{option}", getattr(args, option))
    if args.spacing and min(args.spacing) <= 0:
        raise InputError(
            "--spacing",
            expected="three lengths above 0 mm",
            found=str(args.spacing),
            remedy="Give for example 3.22 1.62 1.62",
        )
    labels = _find_masks(args)
    spacing = tuple(args.spacing) if args.spacing else None
    claim_folder(args.out, {"simulate": 1, "seed": args.seed, "spacing": args.spacing, "kits19": args.kits19})
    jobs = [
        SimulatedCase(name, path, args.out / name, spacing, args.kits19, args.seed) for name, path in labels.items()
    ]
    run_cases(simulate_case, jobs, list(labels), workers=args.workers, title="simulate")
    return len(jobs)
