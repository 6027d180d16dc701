"""This project's prediction as an engine of the benchmark, with the same code as ``kidneyseg predict``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kidneyseg.benchmark.stopwatch import Stopwatch
from kidneyseg.benchmark.whole_case import network_part
from kidneyseg.inference.cascade import stage_mask
from kidneyseg.inference.model import Model
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView
from kidneyseg.volume.nifti import Scan, read_image, write_mask


class OwnEngine:
    """The model at ``path`` on the CPU with the runtime ``name``. Raises InputError as ``Model.load``."""

    def __init__(self, path: Path, name: str, precision: str) -> None:
        model = Model.load(path, "CPU", None, name, precision)
        self.recipe, self.runtimes = model.recipe, model.runtimes

    def read(self, image: Path) -> Scan:
        return read_image(image)

    def stage_mask(self, view: StageView, watch: Stopwatch) -> StageMask:
        name = view.stage.name
        return stage_mask(view, watch.timed(network_part(view.stage), self.runtimes[name]))

    def write(self, out: Path, mask: np.ndarray, scan: Scan) -> None:
        write_mask(out, mask, scan)
