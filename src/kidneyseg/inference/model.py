"""A trained model: a recipe with the runtimes of its networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from kidneyseg.export.package import is_package, opened, read_package, read_recipe
from kidneyseg.inference.cascade import ProbabilityHook, Result, no_hook, segment
from kidneyseg.inference.stage import Progress, ignore_progress
from kidneyseg.model_folder.folder import read_checkpoints_recipe
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.recipe import Recipe
from kidneyseg.runtime.base import Runtime
from kidneyseg.runtime.select import graph_formats, load_graph, load_runtimes
from kidneyseg.volume.nifti import Scan


class Segmenter(Protocol):
    """A :class:`Model`, or several as one."""

    @property
    def recipe(self) -> Recipe: ...

    def segment(self, scan: Scan, *, oracle: np.ndarray | None = None, progress: Progress = ignore_progress) -> Result:
        """Segment ``scan``; arguments as for :func:`kidneyseg.inference.cascade.segment`."""


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes:
        recipe: the recipe.
        runtimes: stage name -> runtime of its network.
    """

    recipe: Recipe
    runtimes: Mapping[str, Runtime]

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        recipe: Recipe | None = None,
        runtime: str = "mindspore",
        precision: str = "auto",
    ) -> Model:
        """Load a model folder (``recipe.yaml`` and ``<stage>/best.ckpt`` for every stage) or an exported package.

        Args:
            folder: for example ``WORK/fold0``, a folder of ``model_zoo/``, or a package of exported graphs (folder or
                .zip). The recipe of a package is adapted to its graphs.
            device: auto, CPU, GPU or Ascend.
            recipe: used instead of the folder's recipe, for example with another overlap; its networks must be the
                same.
            runtime: software that computes the networks: mindspore (on CPU with the project's kernels), openvino (on
                CPU), or auto (see ``runtime.select.load_runtimes``). For a package, OpenVINO runs ONNX and MindSpore
                runs MindIR.
            precision: number format of the networks, or auto: float32 on a CPU, elsewhere that of the training.

        Raises:
            InputError: no such folder, no recipe, a stage without checkpoint, a checkpoint of another network, no
                such device or runtime on this machine; a package without graphs for the runtime, or a damaged one.
        """
        if is_package(Path(folder)):
            return cls._of_package(Path(folder), device, recipe, runtime, precision)
        own = read_model_recipe(folder)
        recipe = recipe or own
        return cls(recipe, load_runtimes(recipe.stages, Path(folder), device, runtime, precision))

    @classmethod
    def _of_package(cls, path: Path, device: str, recipe: Recipe | None, runtime: str, precision: str) -> Model:
        with opened(path) as folder:
            package = read_package(folder, graph_formats(device, runtime), recipe)
            return cls(
                package.recipe,
                {
                    stage.name: load_graph(package.graphs[stage.name], stage.inference.batch_size, device, precision)
                    for stage in package.recipe.stages
                },
            )

    def segment(
        self,
        scan: Scan,
        *,
        oracle: np.ndarray | None = None,
        found: Mapping[str, StageMask] | None = None,
        progress: Progress = ignore_progress,
        on_probabilities: ProbabilityHook = no_hook,
    ) -> Result:
        """Segment ``scan``; options as for :func:`kidneyseg.inference.cascade.segment`."""
        return segment(
            scan,
            self.recipe,
            self.runtimes,
            oracle=oracle,
            found=found,
            progress=progress,
            on_probabilities=on_probabilities,
        )


def read_model_recipe(folder: str | Path) -> Recipe:
    """Read the recipe of a model folder or package, after a check that all checkpoints exist.

    Raises:
        InputError: as for :meth:`Model.load`, except for errors inside checkpoints or graphs, which are not read.
    """
    folder = Path(folder)
    if is_package(folder):
        with opened(folder) as unpacked:
            return read_recipe(unpacked)
    return read_checkpoints_recipe(folder)
