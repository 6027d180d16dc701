"""Times one training step and one forward pass on the CPU: the project's kernels, stock MindSpore and PyTorch.

Peers without a library (PyTorch: pip install "kidneyseg[benchmark]") are left out; bfloat16 is measured where the CPU
has AMX. Stop other work first: all share the cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kidneyseg.atomic import require_writable, write_text
from kidneyseg.cpu import benchmark
from kidneyseg.cpu.benchmark_cases import NETWORKS, OPERATORS
from kidneyseg.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """examples:
  kidneyseg benchmark --json speed.json
  kidneyseg benchmark --network unet3plus --without mindspore
  kidneyseg benchmark --small --no-operators"""
    parser.add_argument("--network", choices=sorted(NETWORKS), action="append", help="only this network (repeatable)")
    parser.add_argument("--phase", choices=benchmark.PHASES, action="append", help="only this phase (repeatable)")
    parser.add_argument("--without", choices=benchmark.IMPLEMENTATIONS, action="append", default=[],
                        metavar="IMPLEMENTATION",
                        help=f"leave out one of {', '.join(benchmark.IMPLEMENTATIONS)} (repeatable)")
    parser.add_argument("--no-operators", action="store_true", help="leave out the table of single operators")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="timed steps of each (default: 3)")
    parser.add_argument("--small", action="store_true", help="tiny inputs: shows that all runs, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE as well")


def run(args: argparse.Namespace) -> int:
    if args.repeats < 1:
        raise InputError("--repeats", expected="1 or more", found=str(args.repeats), remedy="Time at least one step")
    if args.json:
        require_writable(args.json)
    wanted = [pair for pair in benchmark.runnable() if pair[0] not in args.without]
    phases = args.phase or list(benchmark.PHASES)
    cases = args.network or list(NETWORKS)
    if not args.no_operators:
        cases = cases + list(OPERATORS)
    rows = []
    for case in cases:
        for phase in phases:
            measured = benchmark.measure(case, phase, wanted, args.repeats, args.small)
            rows += measured
            print(benchmark.table(measured), flush=True)
    if args.json:
        write_text(args.json, json.dumps(benchmark.as_json(rows), indent=1) + "\n")
    return 0
