"""What computes a network, whatever it is: images in, probabilities out."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """(N, channels, *S) float32, as the recipe normalises them -> (N, classes, *S) that sum to 1 over the classes."""

    def __call__(self, images: np.ndarray) -> np.ndarray: ...
