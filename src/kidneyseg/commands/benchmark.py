"""Measure speed against other software in one run: networks (the default), a whole prediction, or nnU-Net training.

Other software must be installed: PyTorch by pip install "kidneyseg[benchmark]", PyTorch and MONAI by
"kidneyseg[peer]". If it is missing, it is left out or an error names it. PyTorch is also measured in bfloat16 if the
CPU has AVX-512 BF16 or AMX, this project's kernels if it has AMX. Every process runs in the environment that you have
set. Stop other programs first, because they would share the cores.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from kidneyseg.benchmark import networks, prediction, training
from kidneyseg.benchmark.network_cases import NETWORKS, OPERATORS
from kidneyseg.benchmark.torch_weights import require_twins, write_weights
from kidneyseg.commands.options import count_from_0, named_recipe, positive
from kidneyseg.cpu_kernels.processor import multiplies_bfloat16, processor
from kidneyseg.errors import InputError
from kidneyseg.inference.model import read_model_recipe
from kidneyseg.model_folder import run_record
from kidneyseg.model_folder.folder import read_checkpoints_recipe
from kidneyseg.recipe import Recipe
from kidneyseg.report.tables import format_table, write_scores
from kidneyseg.runtime.select import BACKENDS
from kidneyseg.system.files import require_folder, require_writable, write_text
from kidneyseg.system.privacy import without_user
from kidneyseg.volume.nifti import read_mask

PEERS = [*prediction.LAYOUTS, "none"]
SMALLEST_PATCH = 16**3  # voxels
TRAIN = """Voxel spacing, patch and network follow nnU-Net's rules for the training cases, with --patch-voxels instead
of its memory limit. If a patch would contain less than a quarter of the median scan, the spacing is increased as in
nnU-Net's low-resolution configuration. Reading, resampling and the test of memory layouts and precisions do not count
in --minutes. Single slices are left out. Labels with `covers` (datasets.yaml) are used without it. Writes
OUT/fold<K>/model.pt, predictions/, scores.{json,csv,md} and run.json."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg benchmark --json speed.json
  kidneyseg benchmark --network unet3plus --without mindspore
  kidneyseg benchmark --small --no-operators
  kidneyseg benchmark predict -m model_zoo/mplab-small -i case_00128/imaging.nii.gz
  kidneyseg benchmark predict -m model_zoo/mplab-small int8 -i case_00128/imaging.nii.gz
  kidneyseg benchmark predict -c mplab -i case/imaging.nii.gz --regions case/segmentation.nii.gz --json case.json
  kidneyseg benchmark train --work work --fold 0 --minutes 30 -o nnunet"""
    _add_networks(parser)
    actions = parser.add_subparsers(dest="action", metavar="predict|train", title="instead of the networks")
    title = "a whole case from NIfTI to mask, and the same networks in PyTorch with MONAI's sliding window"
    _add_predict(actions.add_parser("predict", help=title, description=f"{title}: seconds and peak memory per part."))
    title = "nnU-Net's method, with MONAI's DynUNet, trained and scored on a fold of WORK"
    _add_train(actions.add_parser("train", help=title, description=f"{title}. {TRAIN}"))


def _add_networks(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(measure=_networks)
    parser.add_argument("--network", choices=sorted(NETWORKS), action="append", help="only this network (repeatable)")
    parser.add_argument("--phase", choices=networks.PHASES, action="append", help="only this phase (repeatable)")
    parser.add_argument(
        "--without",
        choices=networks.IMPLEMENTATIONS,
        action="append",
        default=[],
        metavar="IMPLEMENTATION",
        help=f"leave out one of {', '.join(networks.IMPLEMENTATIONS)} (repeatable)",
    )
    parser.add_argument("--no-operators", action="store_true", help="leave out the table of single operators")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="timed steps of each (default: 3)")
    parser.add_argument("--small", action="store_true", help="tiny inputs: a test that all runs, without useful times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE as well")


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(measure=_predict)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "-m",
        "--model",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="trained model, such as WORK/fold0; further models, for example an int8 package of the first, are "
        "timed on OpenVINO",
    )
    model.add_argument(
        "-c", "--recipe", metavar="RECIPE", help="a recipe's networks with random weights instead; needs --regions"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="with -c: recipe keys to change")
    parser.add_argument("--int8", action="store_true", help="with -c: also time the networks in int8 on OpenVINO")
    parser.add_argument("-i", "--input", type=Path, required=True, metavar="SCAN", help="one CT")
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="MASK",
        help="true mask of the scan, from which the ROIs of later stages are taken; the earlier stages are "
        "computed too",
    )
    parser.add_argument(
        "--runtime",
        choices=list(BACKENDS),
        nargs="+",
        default=["openvino"],
        help="software that computes the networks; each is timed and compared with the first (default: openvino)",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="number format of the runtimes; PyTorch runs in float32 and, if the CPU has instructions for it, in "
        "bfloat16 (default: float32)",
    )
    parser.add_argument(
        "--peer",
        choices=PEERS,
        nargs="+",
        default=list(prediction.LAYOUTS),
        help="memory layouts of PyTorch and MONAI, or none (default: both layouts)",
    )
    # SUPPRESS: no default here, so that an option before `predict` is not overwritten.
    parser.add_argument(
        "--repeats",
        type=int,
        default=argparse.SUPPRESS,
        metavar="N",
        help="runs of each; the fastest is reported (default: 3)",
    )
    parser.add_argument(
        "--json", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="write the numbers to FILE as well"
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(measure=_train)
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that `kidneyseg prepare` filled: its cases, folds and labels are used",
    )
    parser.add_argument("--fold", type=count_from_0, default=0, metavar="K", help="fold, from 0 (default: 0)")
    parser.add_argument("--minutes", type=positive, required=True, metavar="M", help="training time")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder to write to, not WORK")
    parser.add_argument(
        "--width",
        type=int,
        default=32,
        metavar="N",
        help="features at full resolution; with fewer a short training has more steps (default: 32, as nnU-Net)",
    )
    parser.add_argument(
        "--patch-voxels",
        type=int,
        default=64 * 128 * 128,
        metavar="N",
        help="maximum number of voxels in a patch (default: 64 x 128 x 128)",
    )
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="average the predictions of all mirrored inputs, which takes 8 times as long",
    )
    parser.add_argument(
        "--json", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="write the numbers to FILE as well"
    )


def run(args: argparse.Namespace) -> int:
    if args.repeats < 1:
        raise InputError("--repeats", expected="1 or more", found=str(args.repeats), remedy="Time at least one step")
    if args.json:
        require_writable(args.json)
    numbers = args.measure(args)
    if args.json:
        write_text(args.json, json.dumps(without_user(numbers), indent=1) + "\n")
    return 0


def _networks(args: argparse.Namespace) -> dict:
    wanted = [pair for pair in networks.runnable() if pair[0] not in args.without]
    phases = args.phase or list(networks.PHASES)
    cases = args.network or list(NETWORKS)
    if not args.no_operators:
        cases = cases + list(OPERATORS)
    rows = []
    print(processor())
    for case in cases:
        for phase in phases:
            measured = networks.measure(case, phase, wanted, args.repeats, args.small)
            rows += measured
            print(networks.table(measured), flush=True)
    return networks.as_json(rows)


def _refuse_networks_options(args: argparse.Namespace) -> None:
    for option in ("network", "phase", "without", "no_operators", "small"):
        if getattr(args, option):
            raise InputError(
                f"--{option.replace('_', '-')}",
                expected="no option of the networks' benchmark",
                found=f"{args.action} after it",
                remedy="Leave it out: it has no effect there",
            )


def _predict(args: argparse.Namespace) -> dict:
    _refuse_networks_options(args)
    recipe, peers = _recipe(args), [name for name in args.peer if name != "none"]
    model, *rest = args.model or [None]
    others = {path: read_model_recipe(path) for path in rest}  # reports a bad model before the measurements
    if peers:
        prediction.require_peer()
        require_twins(recipe)
        if model is not None:
            read_checkpoints_recipe(model)  # a package has no weights that PyTorch could load
    if args.regions:
        read_mask(args.regions)
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights"
        if model is None:
            model = Path(folder) / "model"
            prediction.random_model(recipe, model)
            if args.int8:
                others[Path(folder) / "int8"] = recipe
                prediction.random_package(recipe, model, Path(folder) / "int8")
        if "openvino" in args.runtime:
            prediction.make_graphs(recipe, model)
        for path, of_path in others.items():
            prediction.make_graphs(of_path, path)
        if peers:
            weights.mkdir()
            write_weights(recipe, model, weights)
        entries = [
            *((name, name, model, args.precision) for name in args.runtime),
            *((path.stem, "openvino", path, args.precision) for path in others),
            *((name, name, model, "float32") for name in peers),
        ]
        if multiplies_bfloat16():
            entries += [(f"{name} bf16", name, model, "bfloat16") for name in peers]
        jobs = [
            prediction.Job(
                title,
                engine,
                str(path),
                str(args.input),
                str(Path(folder) / f"{number}.nii.gz"),
                args.repeats,
                precision,
                args.regions and str(args.regions),
                str(weights),
            )
            for number, (title, engine, path, precision) in enumerate(entries)
        ]
        rows = prediction.measure(jobs, recipe)
    print(f"{processor()}\n{prediction.table(rows)}")
    return {
        "processor": processor(),
        "recipe": recipe.name,
        "models": [str(path) for path in args.model or []],
        "input": str(args.input),
        "precision": args.precision,
        "rows": [asdict(row) for row in rows],
    }


def _train(args: argparse.Namespace) -> dict:
    _refuse_networks_options(args)
    for option, least in (("width", 1), ("patch_voxels", SMALLEST_PATCH)):
        if getattr(args, option) < least:
            raise InputError(
                f"--{option.replace('_', '-')}",
                expected=f"{least} or more",
                found=str(getattr(args, option)),
                remedy="Leave it out for the default",
            )
    if args.out.resolve() == args.work.resolve():
        raise InputError(
            args.out,
            expected="another folder than --work",
            found="the same",
            remedy="Name a separate folder, so that the scores of the models in --work are kept",
        )
    require_folder(args.out)
    prediction.require_peer("benchmark train", otherwise="")
    folder = args.out / f"fold{args.fold}"
    cases, flat = training.find_volumes(args.work, args.fold)
    job = training.make_job(args.work, cases, folder, args.minutes, args.width, args.patch_voxels, args.mirror)
    answer = training.run(job)
    print(training.summary(answer, flat), flush=True)
    facts = {
        "job": asdict(job),
        **asdict(answer),
        "single_slices": flat,
        "peer": {name: version(name) for name in ("torch", "monai")},
    }
    run_record.record(folder, "nnunet", facts)
    scores = training.score(args.work, cases["val"], folder / "predictions")
    print(f"\n{format_table(scores)}", end="")
    print("written: " + ", ".join(map(str, [folder / "model.pt", *write_scores(scores, folder / "scores")])))
    return facts


def _recipe(args: argparse.Namespace) -> Recipe:
    if args.model is not None:
        if args.overrides or args.int8:
            raise InputError(
                "benchmark predict",
                expected="KEY=VALUE and --int8 with -c alone",
                found=" ".join(args.overrides) or "--int8 with -m",
                remedy="Change the model's recipe.yaml, or give a package of `kidneyseg export --int8`",
            )
        return read_model_recipe(args.model[0])
    if args.regions is None:
        raise InputError(
            "benchmark predict -c",
            expected="--regions MASK: random weights find no kidneys",
            found="none",
            remedy="Give the scan's true mask, or -m with a trained model",
        )
    return named_recipe(args.recipe, args.overrides)
