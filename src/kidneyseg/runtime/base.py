"""The interface of all runtimes: images in, probabilities out."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """(N, channels, *S) float32, normalised by the recipe -> probabilities (N, classes, *S) with sum 1 over classes."""

    def __call__(self, images: np.ndarray) -> np.ndarray: ...
