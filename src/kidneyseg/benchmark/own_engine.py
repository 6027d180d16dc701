"""This project's prediction as an engine of the benchmark: the code that `kidneyseg predict` runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kidneyseg.benchmark.parts import Parts
from kidneyseg.benchmark.whole_case import network_part
from kidneyseg.data.geometry import Part, StageMask
from kidneyseg.inference.cascade import stage_mask
from kidneyseg.inference.model import Model
from kidneyseg.recipe import Stage
from kidneyseg.volume.nifti import Scan, read_image, write_mask


class OwnEngine:
    """The model at ``path`` on the CPU, its networks on the runtime called ``name``; raises as `Model.load`."""

    def __init__(self, path: Path, name: str, precision: str) -> None:
        model = Model.load(path, "CPU", None, name, precision)
        self.recipe, self.runtimes = model.recipe, model.runtimes

    def read(self, image: Path) -> Scan:
        return read_image(image)

    def stage_mask(self, scan: Scan, stage: Stage, parts: Sequence[Part], earlier: StageMask | None,
                   watch: Parts) -> StageMask:
        runtime = watch.timed(network_part(stage), self.runtimes[stage.name])
        return stage_mask(scan, self.recipe, stage, parts, runtime, earlier=earlier)

    def write(self, out: Path, mask: np.ndarray, scan: Scan) -> None:
        write_mask(out, mask, scan)
