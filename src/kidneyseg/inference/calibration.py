"""What the networks of a model see of scans, to find the ranges of their numbers for int8."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.inference.cascade import segment
from kidneyseg.inference.model import Model
from kidneyseg.runtime.base import Runtime
from kidneyseg.volume.nifti import Scan

IMAGES = 64  # per stage; ranges settle long before


def calibration_images(model: Model, scans: Iterable[Scan], limit: int = IMAGES) -> dict[str, np.ndarray]:
    """What the network of every stage sees while ``model`` segments ``scans``: by stage, (n, channels, \\*S) float32.

    Args:
        model: of float32 input.
        limit: images kept of each stage, every one as likely; always the same for the same scans.

    Raises:
        InputError: a stage has seen nothing.
    """
    seen = {name: Sampled(runtime, limit) for name, runtime in model.runtimes.items()}
    for scan in scans:
        segment(scan, model.recipe, seen)
    blind = [name for name, sampled in seen.items() if not sampled.kept]
    if blind:
        raise InputError(
            "scans to calibrate with",
            expected="scans in which the model finds kidneys",
            found=f"nothing for stage {blind[0]!r} to see",
            remedy="Give other scans, like those to come",
        )
    return {name: np.stack(sampled.kept) for name, sampled in seen.items()}


class Sampled:
    """A runtime that keeps a sample of ``limit`` of the images it is given (reservoir sampling, Vitter 1985)."""

    def __init__(self, runtime: Runtime, limit: int) -> None:
        self.runtime, self.limit = runtime, limit
        self.kept: list[np.ndarray] = []
        self._count, self._rng = 0, np.random.default_rng(0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        for image in images:
            self._count += 1
            if len(self.kept) < self.limit:
                self.kept.append(image.copy())
            elif (place := int(self._rng.integers(self._count))) < self.limit:
                self.kept[place] = image.copy()
        return self.runtime(images)
