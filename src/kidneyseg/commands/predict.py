"""Segment one scan, several scans, or a folder: one mask OUT/<case>.nii.gz per scan.

Masks are uint8 and have exactly the shape, affine and orientation of their scan. A scan is skipped if its mask exists
and was made from the same scan by the same models with the same options, as recorded in OUT/.kidneyseg/<case>.json.
Manual corrections of such a mask are kept. An error in one scan does not stop the others. Several models, of one recipe
or of several, are averaged: the mean probabilities of their first stages locate the ROIs for all later stages, and
every voxel gets the label with the highest mean probability.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

import kidneyseg
from kidneyseg.cohort.case import Case
from kidneyseg.cohort.scans import find_scans
from kidneyseg.commands.options import add_device, add_runtime
from kidneyseg.commands.predict_notes import Notes, asked_for
from kidneyseg.errors import InputError
from kidneyseg.inference.model import Segmenter, read_model_recipe
from kidneyseg.system.failures import explain
from kidneyseg.system.files import require_folder, require_writable, write_text
from kidneyseg.system.prefetch import prefetch, write_behind
from kidneyseg.system.privacy import without_user
from kidneyseg.volume.nifti import Scan, read_image, write_mask

if TYPE_CHECKING:
    from kidneyseg.inference.cascade import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg predict -m model_zoo/mplab-small -i ct.nii.gz -o masks --overlay
  kidneyseg predict -m model.zip -i ct.nii.gz -o masks
  kidneyseg predict -m work/fold0 -i kits19/data -o masks --json masks/summary.json
  kidneyseg predict -m work/fold0 work/fold1 other/fold0 -i ct.nii.gz -o masks --disagreement
  kidneyseg predict -m work/fold0 --finders other/fold0 -i ct.nii.gz -o masks"""
    parser.add_argument(
        "-m",
        "--model",
        type=Path,
        nargs="+",
        required=True,
        metavar="MODEL",
        help="trained model: folder with recipe.yaml and STAGE/best.ckpt, such as WORK/fold0, or the folder or .zip "
        "that `kidneyseg export` wrote; several models form an ensemble, whose mask is cleaned by the `components` "
        "of the first model's recipe",
    )
    parser.add_argument(
        "--finders",
        type=Path,
        nargs="+",
        default=[],
        metavar="MODEL",
        help="more models, of which only the first stages are used: they take part in the localisation of the ROIs, "
        "but not in the segmentation",
    )
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="SCAN",
        help="NIfTI, MetaImage or NRRD files, or folders of them (KiTS, nnU-Net or flat; masks are ignored)",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the masks, which is created"
    )
    parser.add_argument("--overlay", action="store_true", help="also draw OUT/<case>.png, the contours on the CT")
    parser.add_argument(
        "--disagreement",
        action="store_true",
        help="for several models: also write OUT/<case>_disagreement.nii.gz, uint8: the percentage of "
        "models whose label of a voxel differs from that in the mask",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write volumes in ml, times and failures to FILE")
    parser.add_argument("--overwrite", action="store_true", help="also segment scans whose mask is up to date")
    add_device(parser)
    add_runtime(parser, default="auto")


@dataclass
class Summary:
    """Results of all scans, as JSON types."""

    cases: list[dict] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    scans = find_scans(args.input)
    _check_out(args.out, args.input, scans)
    if args.json:
        require_writable(args.json)
    recipes = [read_model_recipe(folder) for folder in (*args.model, *args.finders)]
    if args.disagreement and len(args.model) == 1:
        raise InputError(
            "--disagreement",
            expected="several models",
            found=f"one, {args.model[0]}",
            remedy="Name two or more after -m",
        )
    notes = Notes(
        args.out,
        asked_for(args.model, args.finders, runtime=args.runtime, precision=args.precision, device=args.device),
    )
    todo = [case for case in scans if args.overwrite or not _is_done(args, notes, case)]
    summary = Summary(skipped=[case.name for case in scans if case not in todo])
    for name in summary.skipped:
        print(f"{name}: mask already exists, skipped (--overwrite to segment it again)")
    failures: dict[str, InputError] = {}
    if todo:
        from kidneyseg.inference.ensemble.ensemble import load_models

        model = load_models(
            args.model, args.device, runtime=args.runtime, precision=args.precision, finders=args.finders
        )
        with tqdm(total=len(todo), desc="predict", unit="scan", disable=None) as bar:
            scans_read = prefetch(lambda case: read_image(case.image), todo)
            segmented = ((case, partial(_segment, case, scan, model, bar)) for case, scan in scans_read)
            for case, entry in write_behind(partial(_write, args, model, notes), segmented):
                try:
                    summary.cases.append(entry())
                except Exception as error:
                    failures[case.name] = failure = explain(case.image, error)
                    summary.failed.append({"case": case.name, "image": str(case.image), "error": str(failure)})
                    if len(scans) > 1:
                        tqdm.write(f"{case.name}: failed: {failure}", file=sys.stderr)
                bar.update()
    if args.json:
        facts = {
            "model": " + ".join(map(str, args.model)),
            "finders": [str(path) for path in args.finders],
            "recipe": " + ".join(recipe.name for recipe in recipes[: len(args.model)]),
            "kidneyseg": kidneyseg.__version__,
        }
        write_text(args.json, json.dumps(without_user({**facts, **vars(summary)}), indent=2) + "\n")
    if failures and len(scans) == 1:
        raise failures[scans[0].name]
    if failures:
        raise InputError(
            f"{len(failures)} of {len(scans)} scans",
            expected="scans without faults",
            found=f"faults in {', '.join(failures)}",
            remedy="See the lines above; the other scans are segmented",
        )
    return 0


def _check_out(out: Path, inputs: Sequence[Path], scans: Sequence[Case]) -> None:
    require_folder(out)
    if out.resolve() in {path.resolve() for path in (*inputs, *(case.image.parent for case in scans))}:
        raise InputError(
            out,
            expected="a folder other than that of the scans",
            found="the scans in it",
            remedy="Give another -o: masks would replace the scans, or be read as scans the next time",
        )


def _is_done(args: argparse.Namespace, notes: Notes, case: Case) -> bool:
    """Tell whether all outputs of ``case`` are up to date; print a message if its mask exists but is not."""
    files = [_mask_path(args.out, case), *_extras(args, case)]
    try:
        done = notes.is_done(case.name, case.image, files)
    except OSError:  # the scan cannot be read; the error is reported later with the case's name
        done = False
    if not done and files[0].exists():
        print(f"{case.name}: mask exists, but was made from another scan, model or options: it is made again")
    return done


def _extras(args: argparse.Namespace, case: Case) -> list[Path]:
    """List the output files of ``case`` besides the mask."""
    picture, disagreement = args.out / f"{case.name}.png", args.out / f"{case.name}_disagreement.nii.gz"
    return [picture] * args.overlay + [disagreement] * args.disagreement


def _mask_path(out: Path, case: Case) -> Path:
    return out / f"{case.name}.nii.gz"


def _segment(case: Case, read: Callable[[], Scan], model: Segmenter, bar: tqdm) -> tuple[Scan, Result, list[str]]:
    """Segment one scan; returns the scan, the result and all warnings."""
    done: dict[str, int] = {}

    def progress(stage: str, count: int) -> None:
        done[stage] = done.get(stage, 0) + count
        bar.set_postfix_str(f"{case.name}, {stage} {done[stage]}")

    scan = read()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = model.segment(scan, progress=progress)
    return scan, result, [*map(str, scan.doubts), *(str(warning.message) for warning in caught)]


def _write(
    args: argparse.Namespace, model: Segmenter, notes: Notes, case: Case, segmented: tuple[Scan, Result, list[str]]
) -> dict:
    """Write all outputs of a case and print its volumes; returns its entry in the summary."""
    scan, result, messages = segmented
    out = args.out
    notes.forget(case.name)
    write_mask(_mask_path(out, case), result.mask, scan)
    entry = _entry(case, scan, result, model, out, messages)
    if args.disagreement and result.disagreement is not None:
        file = out / f"{case.name}_disagreement.nii.gz"
        write_mask(file, result.disagreement, scan, "percent of models with another label")
        entry["disagreement"] = str(file)
    if args.overlay:
        entry["overlay"] = str(_draw(scan, result.mask, out / f"{case.name}.png", case.name))
    notes.write(case.name, case.image)
    volumes = ", ".join(f"{name} {ml:.1f} ml" for name, ml in entry["volumes_ml"].items())
    tqdm.write(f"{case.name}: {volumes} ({sum(result.seconds.values()):.1f} s)")
    for message in messages:
        tqdm.write(f"warning: {message}", file=sys.stderr)
    return entry


def _entry(case: Case, scan: Scan, result: Result, model: Segmenter, out: Path, messages: list[str]) -> dict:
    return {
        "case": case.name,
        "image": str(case.image),
        "mask": str(_mask_path(out, case)),
        "volumes_ml": {
            name: np.count_nonzero(result.mask == label) * scan.voxel_ml for name, label in model.recipe.labels.items()
        },
        "rois": {stage: len(rois) for stage, rois in result.rois.items()},
        "seconds": {part: round(seconds, 3) for part, seconds in result.seconds.items()},
        "warnings": messages,
    }


def _draw(scan: Scan, mask: np.ndarray, path: Path, title: str) -> Path:
    from kidneyseg.report.overlay import overlay  # Matplotlib takes a second to import

    return overlay(scan.array, {"prediction": mask}, scan.spacing, path, title=title)
