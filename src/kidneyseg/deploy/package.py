"""The folder that `kidneyseg export` writes, as a whole system: its recipe, and a graph for each of its stages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kidneyseg.digest import sha256
from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, Port
from kidneyseg.recipe import Recipe, parse_recipe

FORMATS = {"Ascend310": ("MindIR",), "CPU": ("ONNX", "MindIR")}
"""What each device target takes, the better first."""

REMEDY = "Export all stages of one model into one folder: `kidneyseg export -m MODEL -o FOLDER --format mindir|onnx`"


@dataclass(frozen=True)
class Package:
    """A recipe and the exported graph of each of its stages, by the stage's name."""

    recipe: Recipe
    graphs: Mapping[str, Graph]

    def batch(self, stage: str) -> int:
        """Images at a time: what the graph is fixed to, else what the recipe says."""
        return self.graphs[stage].input.shape[0] or self.recipe.stage(stage).inference.batch_size


def read_package(folder: Path, device: str) -> Package:
    """The package in ``folder`` for a device target of ``FORMATS``.

    All graphs are of one format; of a stage's graphs one with a fixed batch is preferred.

    Raises:
        InputError: no such folder, a stage without graph, a graph that is not the one described beside it, or
            descriptions of different recipes.
    """
    if not folder.is_dir():
        raise InputError(folder, expected="a folder of exported graphs", remedy=REMEDY,
                         found="a file" if folder.exists() else "no such folder")
    described = [(file, data) for file in sorted(folder.glob("*.json")) if (data := _description(file))]
    for wanted in FORMATS[device]:
        chosen = [(file, data) for file, data in described if data["graph"]["format"] == wanted]
        if chosen:
            recipe = _recipe(chosen)
            return Package(recipe, {stage.name: _graph(folder, stage.name, chosen, wanted) for stage in recipe.stages})
    raise InputError(folder, expected=f"{' or '.join(FORMATS[device])} graphs for {device}, each with its JSON",
                     found="graphs of another format" if described else "none", remedy=REMEDY)


def _description(file: Path) -> dict | None:
    """The content of ``file`` if that describes a graph."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(file, expected="the JSON that export writes", found=str(error), remedy=REMEDY) from None
    return data if isinstance(data, dict) and {"stage", "graph", "input", "output", "recipe"} <= set(data) else None


def _recipe(described: Sequence[tuple[Path, dict]]) -> Recipe:
    (first, data), *others = described
    for file, other in others:
        if other["recipe"] != data["recipe"]:
            raise InputError(file, expected=f"the recipe of {first.name}", found="another one", remedy=REMEDY)
    return parse_recipe(data["recipe"], first)


def _graph(folder: Path, stage: str, described: Sequence[tuple[Path, dict]], wanted: str) -> Graph:
    ours = [(file, data) for file, data in described if data["stage"] == stage]
    if not ours:
        raise InputError(folder, expected=f"{wanted} of stage {stage!r}", found="none", remedy=REMEDY)
    file, data = min(ours, key=lambda one: one[1]["input"]["shape"][0] is None)
    path = folder / data["graph"]["file"]
    if not path.is_file() or sha256(path) != data["graph"]["sha256"]:
        raise InputError(path, expected=f"the graph that {file.name} describes", remedy=REMEDY,
                         found="a file with another SHA-256" if path.is_file() else "no such file")
    ports = (Port(data[end]["name"], tuple(data[end]["shape"])) for end in ("input", "output"))
    return Graph(path, wanted, *ports)
