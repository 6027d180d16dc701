"""The inputs of a campaign by their names, and one of them tried."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from random import Random

from cases import CASES, Case
from judge import Reference, faults, read_files
from runner import Runner


def input_names(number: int | None, seed: int) -> list[str]:
    """Names CASE:DAMAGE:NUMBER of ``number`` inputs; None: the shortest campaign, which has every case in it.

    A longer one has each damage of each case with ``seed``, ``seed + 1`` and so on for its random choices.
    """
    rounds = chain.from_iterable(_round(seed + number) for number in count())
    shortest = [name for case in CASES for name in _thinned(case, seed)]
    if number is None:
        return shortest
    taken = set(shortest)
    return [*shortest, *islice((name for name in rounds if name not in taken), max(0, number - len(shortest)))][:number]


def _round(number: int) -> Iterator[str]:
    return (f"{name}:{damage}:{number}" for name, case in CASES.items() for damage in case.damages)


def _thinned(name: str, seed: int) -> Iterator[str]:
    case = CASES[name]
    return (f"{name}:{damage}:{seed}" for index, damage in enumerate(case.damages) if (index + seed) % case.every == 0)


def try_input(name: str, world: Path, place: Path, runner: Runner, reference: Reference) -> list[str]:
    """Run the input called ``name`` in the new folder ``place``; returns its faults, with all that the command said."""
    case_name, damage_name, _ = name.split(":")
    case = CASES[case_name]
    damage = case.damages[damage_name]
    copy_files(case.files, world, place)
    damaged = place / case.damaged
    damaged.write_bytes(damage.apply(damaged.read_bytes(), Random(name)))
    before = read_files(place)
    outcome = runner.run(case.line.split(), place)
    found = faults(case, damage.effect, reference, outcome, before, read_files(place))
    return [*found, f"$ kidneyseg {case.line}", outcome.stdout, outcome.stderr] if found else []


def run_undamaged(case: Case, world: Path, place: Path, runner: Runner) -> Reference:
    """How the case takes its files as they are."""
    copy_files(case.files, world, place)
    outcome = runner.run(case.line.split(), place)
    assert not outcome.hung and "Traceback" not in outcome.stderr, outcome
    reference = Reference(outcome.status, read_files(place))
    assert all(path in reference.files for path in (*case.results, *case.others)), outcome
    return reference


def copy_files(names: Sequence[str], world: Path, place: Path) -> None:
    """Copy files and folders of the world."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if (world / name).is_dir():
            shutil.copytree(world / name, place / name)
        else:
            shutil.copy2(world / name, place / name)
