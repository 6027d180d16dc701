"""Collection of network inputs from scans, to calibrate the int8 quantisation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.inference.cascade import segment
from kidneyseg.inference.model import Model
from kidneyseg.runtime.base import Runtime
from kidneyseg.volume.nifti import Scan

IMAGES = 64  # per stage; the ranges are stable with far fewer


def calibration_images(model: Model, scans: Iterable[Scan], limit: int = IMAGES) -> dict[str, np.ndarray]:
    """Collect the inputs of every stage's network while ``model`` segments ``scans``.

    Args:
        model: a model with float32 input.
        scans: the scans.
        limit: number of images kept per stage. They are a uniform random sample, the same for the same scans.

    Returns:
        Stage name -> (n, channels, \\*S) float32.

    Raises:
        InputError: a stage got no input.
    """
    samples = {name: Sampled(runtime, limit) for name, runtime in model.runtimes.items()}
    for scan in scans:
        segment(scan, model.recipe, samples)
    empty = [name for name, sampled in samples.items() if not sampled.kept]
    if empty:
        raise InputError(
            "scans for the calibration",
            expected="scans in which the model finds kidneys",
            found=f"no input for stage {empty[0]!r}",
            remedy="Give other scans, similar to those to be segmented",
        )
    return {name: np.stack(sampled.kept) for name, sampled in samples.items()}


class Sampled:
    """A runtime that also keeps a random sample of ``limit`` of its inputs (reservoir sampling, Vitter 1985)."""

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
