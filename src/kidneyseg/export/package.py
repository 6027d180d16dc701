"""Exported packages: the folder or .zip that ``kidneyseg export`` writes, with a recipe and a graph for each stage."""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, TensorSpec
from kidneyseg.model_folder.folder import BEST, RECIPE
from kidneyseg.recipe import Recipe, Stage, load_recipe, parse_recipe
from kidneyseg.recipe.base import RecipePart
from kidneyseg.system.config_files import read_json
from kidneyseg.system.digest import sha256
from kidneyseg.system.files import atomic

GRAPHS = ("*.mindir", "*.onnx")
REMEDY = "Export all stages of a model into one folder or .zip: `kidneyseg export -m MODEL -o OUT --format mindir|onnx`"
AS_IT_IS = {"mean": 0.0, "std": 1.0, "per_volume": False}  # a normalisation without effect


class FileFacts(TypedDict):
    """The file of a graph."""

    file: str
    format: str
    sha256: str


class TensorFacts(TypedDict):
    """A ``TensorSpec``."""

    name: str
    shape: Annotated[list[int | None], Field(min_length=1)]
    dtype: Literal["float32", "uint8"]


class Description(TypedDict):
    """The entries used here of a graph's JSON metadata, which :mod:`kidneyseg.export.metadata` writes."""

    stage: str
    graph: FileFacts
    checkpoint: dict[str, str]
    precision: str
    input: TensorFacts
    output: TensorFacts
    recipe: dict[str, Any]
    operators: NotRequired[dict[str, int]]


@dataclass(frozen=True)
class Package:
    """A recipe with the exported graphs of its stages.

    Attributes:
        recipe: the recipe, adapted to the graphs: a graph with a fixed batch size sets ``inference.batch_size`` of its
            stage, and a graph that normalises uint8 itself turns off the stage's normalisation.
        graphs: stage name -> graph.
    """

    recipe: Recipe
    graphs: Mapping[str, Graph]


def is_package(path: Path) -> bool:
    """Tell whether ``path`` is a package: a .zip, or a folder with graphs and without checkpoints."""
    if not path.is_dir():
        return path.suffix == ".zip"
    return any(any(path.glob(kind)) for kind in GRAPHS) and not any(path.glob(f"*/{BEST}"))


def write_zip(folder: Path, path: Path) -> None:
    """Write the files of the package in ``folder`` to the .zip file ``path``, atomically."""
    with atomic(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Open the package ``path`` and yield its folder; a .zip is unpacked to a temporary folder.

    Raises:
        InputError: the package does not exist, or is not a .zip of :func:`write_zip`. In InputErrors of the block,
            paths in the temporary folder are replaced by the path of the .zip.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise InputError(
            path, expected="a folder or .zip of exported graphs", found="no such folder or file", remedy=REMEDY
        )
    with tempfile.TemporaryDirectory(prefix="kidneyseg-") as folder:
        _unpack(path, Path(folder))
        try:
            yield Path(folder)
        except InputError as error:
            raise InputError(
                error.subject.replace(folder, str(path)),
                expected=error.expected,
                found=error.found,
                remedy=error.remedy,
            ) from None


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe of the package in ``folder``. Raises InputError."""
    if not (folder / RECIPE).is_file():
        raise InputError(
            folder / RECIPE, expected="the recipe of the exported model", found="no such file", remedy=REMEDY
        )
    return load_recipe(folder / RECIPE)


def read_package(folder: Path, formats: Sequence[str], recipe: Recipe | None = None) -> Package:
    """Read the package in ``folder``.

    All graphs have the same format. If a stage has several graphs, one with a fixed batch size is preferred.

    Args:
        folder: folder of the package.
        formats: accepted formats, the preferred first.
        recipe: used instead of the package's recipe, for example with another overlap; its stages must be the same.

    Raises:
        InputError: no such folder, a stage without graph, a graph that does not match its metadata, or metadata of
            another recipe or of several checkpoints.
    """
    own = read_recipe(folder)
    described = [(file, data) for file in sorted(folder.glob("*.json")) if (data := _description(file))]
    kind = next((kind for kind in formats if any(data["graph"]["format"] == kind for _, data in described)), None)
    if kind is None:
        raise InputError(
            folder,
            expected=f"{' or '.join(formats)} graphs, each with its JSON",
            remedy=REMEDY,
            found="graphs of another format" if described else "none",
        )
    chosen = [(file, data) for file, data in described if data["graph"]["format"] == kind]
    for file, data in chosen:
        # Compare parsed recipes, not texts: a text of an earlier version lacks new keys.
        if parse_recipe(data["recipe"], file) != own:
            raise InputError(file, expected=f"the recipe of {RECIPE}", found="another one", remedy=REMEDY)
    graphs = {stage.name: _graph(folder, stage.name, chosen, kind) for stage in own.stages}
    recipe = recipe or own
    stages = tuple(_fitted(stage, graphs[stage.name]) for stage in recipe.stages)
    return Package(recipe.model_copy(update={"stages": stages}), graphs)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not re.fullmatch(r"[^/\\:]+", name) or name in (".", ".."):
                    raise InputError(
                        path,
                        expected="a .zip of files without folders, as export writes it",
                        found=repr(name),
                        remedy=REMEDY,
                    )
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise InputError(
            path, expected="the .zip that export writes", found=str(error) or type(error).__name__, remedy=REMEDY
        ) from None


def _description(file: Path) -> Description | None:
    """Read ``file`` if it is the metadata of a graph, else return None."""
    fault = {"expected": "the JSON that export writes", "remedy": REMEDY}
    data = read_json(file, object, **fault)
    if not isinstance(data, dict) or not Description.__required_keys__ <= data.keys():
        return None
    return read_json(file, Description, **fault)


def _graph(folder: Path, stage: str, described: Sequence[tuple[Path, Description]], wanted: str) -> Graph:
    of_stage = [(file, data) for file, data in described if data["stage"] == stage]
    if not of_stage:
        raise InputError(folder, expected=f"{wanted} of stage {stage!r}", found="none", remedy=REMEDY)
    file, data = min(of_stage, key=lambda one: one[1]["input"]["shape"][0] is None)
    for other, its in of_stage:
        if its["checkpoint"] != data["checkpoint"]:
            raise InputError(
                other,
                expected=f"the checkpoint of {file.name}",
                found="one of another training",
                remedy="Delete the older of the two graphs, or export both again",
            )
    path = folder / data["graph"]["file"]
    if not path.is_file() or sha256(path) != data["graph"]["sha256"]:
        raise InputError(
            path,
            expected=f"the graph that {file.name} describes",
            remedy=REMEDY,
            found="a file with another SHA-256" if path.is_file() else "no such file",
        )
    ends = _tensor(data["input"]), _tensor(data["output"])
    return Graph(path, wanted, *ends, data["precision"], data.get("operators", {}))


def _tensor(facts: TensorFacts) -> TensorSpec:
    return TensorSpec(facts["name"], tuple(facts["shape"]), facts["dtype"])


def _fitted(stage: Stage, graph: Graph) -> Stage:
    changes: dict[str, RecipePart] = {}
    if graph.input.shape[0]:
        changes["inference"] = stage.inference.model_copy(update={"batch_size": graph.input.shape[0]})
    if graph.input.dtype == "uint8":
        changes["intensity"] = stage.intensity.model_copy(update=AS_IT_IS)
    return stage.model_copy(update=changes)
