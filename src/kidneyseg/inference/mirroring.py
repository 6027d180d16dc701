"""Test-time augmentation by mirroring: the mean of a network's predictions on its input and mirrored inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

AXES = {"z": -3, "y": -2, "x": -1}


def mean_of_mirrors(
    network: Callable[[np.ndarray], np.ndarray], images: np.ndarray, mirrors: Sequence[str]
) -> np.ndarray:
    """Average the network's predictions on ``images`` and on mirrored copies, each mirrored back.

    Args:
        network: (N, channels, \\*S) -> (N, classes, \\*S) float32.
        images: (N, channels, \\*S); S is (z, y, x), or (y, x) with a stack of slices as channels.
        mirrors: the axes of each mirrored copy, such as "z" or "yx". In a stack "z" reverses the order of the slices;
            the middle slice, which is segmented, stays in the middle.

    Returns:
        (N, classes, \\*S) float32.
    """
    answer = network(images)
    if not mirrors:
        return answer
    total = answer.copy()
    in_answer = range(2 - answer.ndim, 0)  # the axes of S, without the z of a stack
    for mirror in mirrors:
        axes = [AXES[axis] for axis in mirror]
        mirrored = network(np.ascontiguousarray(np.flip(images, axes)))
        total += np.flip(mirrored, [axis for axis in axes if axis in in_answer])
    return total / np.float32(1 + len(mirrors))
