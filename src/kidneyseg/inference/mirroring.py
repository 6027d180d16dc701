"""The mean of what a network says of its input and of mirror images of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

AXES = {"z": -3, "y": -2, "x": -1}


def mean_of_mirrors(
    network: Callable[[np.ndarray], np.ndarray], images: np.ndarray, mirrors: Sequence[str]
) -> np.ndarray:
    """The mean of the network's answers to ``images`` and to their mirror images, each mirrored back.

    Args:
        network: (N, channels, \\*S) -> (N, classes, \\*S) float32.
        images: (N, channels, \\*S); S is (z, y, x), or (y, x) with a stack of slices as channels.
        mirrors: the axes of each mirror image, such as "z" or "yx". "z" reverses the order of a stack, whose middle
            slice, the one that the answer is about, stays where it is.

    Returns:
        (N, classes, \\*S) float32.
    """
    answer = network(images)
    if not mirrors:
        return answer
    total = answer.copy()
    in_answer = range(2 - answer.ndim, 0)  # the axes of S; a stack's z is none of them
    for mirror in mirrors:
        axes = [AXES[axis] for axis in mirror]
        mirrored = network(np.ascontiguousarray(np.flip(images, axes)))
        total += np.flip(mirrored, [axis for axis in axes if axis in in_answer])
    return total / np.float32(1 + len(mirrors))
