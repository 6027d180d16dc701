"""Will this machine, or a named device, train and predict with this recipe?

Prints what is installed against what must be, each OK, wrong or missing with a remedy. With a recipe it also compiles
the network and the training step of every stage, and lists their operators and types against MindSpore's documentation
for the device and, for an Ascend, the kernels in MindSpore's libraries. Nothing is run on the device.
Exit status 0: nothing is wrong; 2: something is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kidneyseg.commands.options import add_recipe, recipe_from
from kidneyseg.doctor import checks
from kidneyseg.doctor.machine import look
from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.system.files import require_writable, write_text

if TYPE_CHECKING:
    from kidneyseg.doctor.verdict import Line

NOTE_WIDTH = 100  # characters; the JSON has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg doctor
  kidneyseg doctor -c mplab --target Ascend
  kidneyseg doctor -c mplab_small --json doctor.json stages.coarse.train.precision=float32"""
    add_recipe(parser, required=False)
    parser.add_argument(
        "--target",
        choices=["auto", "CPU", "GPU", "Ascend"],
        default="auto",
        help="the device in question (default: auto, the first of Ascend, GPU, CPU that is there)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it there, too")


def run(args: argparse.Namespace) -> int:
    recipe = _recipe(args)
    if args.json:
        require_writable(args.json)
    machine = look()
    target = machine.target if args.target == "auto" else args.target
    found = checks.check(machine, target)
    print(f"Device: {target}\n")
    print(_table(["", "found", "expected", "state"], [[c.name, c.found, c.expected, c.state] for c in found]))
    for check in found:
        if check.remedy:
            print(f"{check.name}: {check.remedy}.")
    stages: list[dict[str, Any]] = []
    if recipe and not machine.targets:
        print("\nThe recipe was not looked at: there is no MindSpore to compile it with.")
    elif recipe:
        stages = [_stage(stage, target) for stage in recipe.stages]
    good = not any(check.fails for check in found) and all(stage["ok"] for stage in stages)
    print(f"\n{'Nothing is wrong' if good else 'Something is wrong, see above'}.")
    if args.json:
        said = {"target": target, "ok": good, "checks": [asdict(check) for check in found], "stages": stages}
        write_text(args.json, json.dumps(said, indent=2) + "\n")
    return 0 if good else 2


def _recipe(args: argparse.Namespace) -> Recipe | None:
    if args.recipe:
        return recipe_from(args)
    if args.overrides:
        raise InputError(
            args.overrides[0], expected="-c RECIPE with keys to change", found="no recipe", remedy="Name the recipe"
        )
    return None


def _stage(stage: Stage, target: str) -> dict[str, Any]:
    """Print what is found of a stage, and return it for the JSON."""
    from kidneyseg import device, nets  # imports MindSpore
    from kidneyseg.doctor import graphs, verdict

    device.use("CPU")  # which compiles for them all
    precision = nets.choose_precision(stage.train.precision, target)
    print(f"\nStage {stage.name}: {stage.network.name} in {precision}", flush=True)
    try:
        inference = graphs.inference_operators(stage, target, "float32" if target == "CPU" else precision)
        training = graphs.training_operators(stage, target, precision)
    except InputError as error:
        print(f"Verdict: {error}")
        return {"stage": stage.name, "precision": precision, "ok": False, "verdict": str(error), "operators": []}
    lines = verdict.judge(inference, training, target)
    head = ["operator", "inference", "training", "types", "documented", "state", "note"]
    print(_table(head, [_row(line) for line in lines]))
    said = verdict.summary(lines, target)
    print(f"Verdict: {said}.")
    good = not any(line.state == verdict.WRONG for line in lines)
    operators = [asdict(line) for line in lines]
    return {"stage": stage.name, "precision": precision, "ok": good, "verdict": said, "operators": operators}


def _row(line: Line) -> list[str]:
    note = "; ".join(line.notes)
    return [
        line.operator,
        str(line.inference),
        str(line.training),
        ", ".join(dict.fromkeys(filter(None, line.types))) or "-",
        " ".join(line.platforms) or "-",
        line.state,
        note if len(note) <= NOTE_WIDTH else f"{note[: NOTE_WIDTH - 3]}...",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
