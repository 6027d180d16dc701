"""Sliding-window inference of a 3-D network, with memory that does not depend on the length of the volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from kidneyseg.volume.windows import window_starts

ProbabilitySlabs = Iterator[tuple[int, np.ndarray]]
"""Probabilities in order of z: pairs of the first plane's number and a float32 array (classes, planes, y, x)."""

ASIDE = 1e-6  # weight of a voxel outside the middle of a window; its cube is still above 0 in float32


def gaussian(patch: Sequence[int]) -> np.ndarray:
    """Compute Gaussian weights of a window: float32 of shape ``patch``, 1 at the centre, > 0 everywhere.

    A separable Gaussian with a standard deviation of an eighth of the window, as in nnU-Net: predictions are less
    accurate near the border of the window, where the network has less context.
    """
    weight = np.ones((), np.float32)
    for axis, size in enumerate(patch):
        offset = (np.arange(size) - (size - 1) / 2) / (size / 8)
        weight = weight * np.exp(-0.5 * offset**2).reshape([-1 if a == axis else 1 for a in range(3)])
    return (weight / weight.max()).astype(np.float32)


def centre(start: Sequence[int], patch: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Compute weights of a window that are 1 in its middle half along every axis, and 1e-6 elsewhere.

    Values outside the middle half have an effect only on voxels that are in the middle half of no window. The middle
    half of the first window of an axis is extended to the start of the volume, that of the last window to its end. With
    windows of 64 slices and a stride of 32, the slices 16-48 of each window are used, as in the kidney stage of the
    multi-scale 2.5-D V-Net (KiTS19).

    Args:
        start: first voxel of the window.
        patch: size of the window.
        shape: size of the volume.

    Returns:
        float32 of shape ``patch``.
    """
    z, y, x = (_middle(*axis) for axis in zip(start, patch, shape))
    return z[:, None, None] * y[:, None] * x


def _middle(start: int, patch: int, length: int) -> np.ndarray:
    weight = np.full(patch, ASIDE, np.float32)
    first = 0 if start == 0 else patch // 4
    last = patch if start + patch == length else patch - patch // 4
    weight[first:last] = 1
    return weight


def sliding_slabs(
    image: np.ndarray,
    patch: Sequence[int],
    overlap: float,
    network: Callable[[np.ndarray], np.ndarray],
    classes: int,
    batch_size: int,
    merge: Literal["gaussian", "centre"] = "gaussian",
) -> ProbabilitySlabs:
    """Compute the weighted mean of the probabilities of overlapping windows, slab by slab.

    Args:
        image: (z, y, x) uint8; if it is smaller than ``patch`` along an axis, it is padded with 0 (air) at the end.
        patch: window size in voxels.
        overlap: fraction of a window that its neighbour covers too, 0 <= overlap < 1; the last window of an axis ends
            at the end of the axis.
        network: (N, *patch) uint8, N <= batch_size -> probabilities (N, classes, *patch) float32.
        classes: number of classes, the background included.
        batch_size: windows per call of the network.
        merge: the weights, :func:`gaussian` or :func:`centre`.

    Yields:
        (first plane, probabilities (classes, planes, y, x)), each plane of ``image`` once, in order. Only the planes of
        one window are in memory at any time: (classes + 1) * patch z * y * x floats.
    """
    depth, height, width = image.shape
    image = np.pad(image, [(0, max(0, p - n)) for p, n in zip(patch, image.shape)])
    stride = [max(1, round(p * (1 - overlap))) for p in patch]
    starts = sorted(window_starts(image.shape, patch, stride))
    bell = gaussian(patch)
    sums = np.zeros((classes, patch[0], *image.shape[1:]), np.float32)
    weights = np.zeros((patch[0], *image.shape[1:]), np.float32)
    first = 0  # plane of the image to which sums[:, 0] belongs

    def finished(planes: int) -> tuple[int, np.ndarray]:
        planes = min(planes, depth - first)
        return first, sums[:, :planes, :height, :width] / weights[:planes, :height, :width]

    for at in range(0, len(starts), batch_size):
        batch = starts[at : at + batch_size]
        windows = np.stack([image[_box(start, patch)] for start in batch])
        for (z, y, x), probabilities in zip(batch, network(windows)):
            if z > first:  # no later window contains planes before z
                yield finished(z - first)
                _scroll(sums, z - first)
                _scroll(weights[None], z - first)
                first = z
            weight = bell if merge == "gaussian" else centre((z, y, x), patch, image.shape)
            rows, columns = slice(y, y + patch[1]), slice(x, x + patch[2])
            sums[:, :, rows, columns] += probabilities * weight
            weights[:, rows, columns] += weight
    yield finished(patch[0])


def _box(start: Sequence[int], patch: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(s, s + p) for s, p in zip(start, patch))


def _scroll(planes: np.ndarray, by: int) -> None:
    """Shift the planes of axis 1 towards index 0 by ``by`` planes and fill the end with zeros."""
    keep = planes.shape[1] - by
    for plane in range(keep):  # one plane at a time: an overlapping assignment would copy the whole array
        planes[:, plane] = planes[:, plane + by]
    planes[:, keep:] = 0
