"""Sliding a 3-D network over a volume of any length in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from kidneyseg.volume.windows import window_starts

ProbabilitySlabs = Iterator[tuple[int, np.ndarray]]
"""Probabilities in order of z: pairs of the first plane's number and a float32 array (classes, planes, y, x)."""

ASIDE = 1e-6  # weight of a voxel outside a window's middle; its cube still is a float32


def gaussian(patch: Sequence[int]) -> np.ndarray:
    """Weight of each voxel of a window, float32 of shape ``patch``, 1 at the centre, > 0 everywhere.

    A separable Gaussian with a standard deviation of an eighth of the window, as in nnU-Net: a network knows less
    about the rim of its window, where it sees only one side.
    """
    weight = np.ones((), np.float32)
    for axis, size in enumerate(patch):
        offset = (np.arange(size) - (size - 1) / 2) / (size / 8)
        weight = weight * np.exp(-0.5 * offset**2).reshape([-1 if a == axis else 1 for a in range(3)])
    return (weight / weight.max()).astype(np.float32)


def centre(start: Sequence[int], patch: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Weight of each voxel of the window at ``start`` of a volume of ``shape``, float32 of shape ``patch``.

    1 in the middle half of every axis, and next to nothing elsewhere: it counts only where no window has its middle.
    The first window of an axis keeps what lies before its middle, too, and the last what lies behind. Windows of 64
    slices at every 32 so keep 16-48 each, as in the kidney stage of the multi-scale 2.5-D V-Net (KiTS19).
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
    """Weighted mean of the probabilities of all windows that hold a voxel, slab by slab.

    Args:
        image: (z, y, x) uint8; where it is smaller than ``patch`` it is padded with 0 (air) at its end.
        patch: window size in voxels.
        overlap: share of neighbouring windows, 0 <= overlap < 1; the last window of an axis ends flush with it.
        network: (N, *patch) uint8, N <= batch_size -> probabilities (N, classes, *patch) float32.
        classes: number of classes, the background included.
        batch_size: windows at a time.
        merge: the weights, :func:`gaussian` or :func:`centre`.

    Yields:
        (first plane, probabilities (classes, planes, y, x)), each plane of ``image`` once, in order. At any time only
        the planes of one window are held: (classes + 1) * patch z * y * x floats.
    """
    depth, height, width = image.shape
    image = np.pad(image, [(0, max(0, p - n)) for p, n in zip(patch, image.shape)])
    stride = [max(1, round(p * (1 - overlap))) for p in patch]
    starts = sorted(window_starts(image.shape, patch, stride))
    bell = gaussian(patch)
    sums = np.zeros((classes, patch[0], *image.shape[1:]), np.float32)
    weights = np.zeros((patch[0], *image.shape[1:]), np.float32)
    first = 0  # plane of the image that sums[:, 0] belongs to

    def finished(planes: int) -> tuple[int, np.ndarray]:
        planes = min(planes, depth - first)
        return first, sums[:, :planes, :height, :width] / weights[:planes, :height, :width]

    for at in range(0, len(starts), batch_size):
        batch = starts[at : at + batch_size]
        windows = np.stack([image[_box(start, patch)] for start in batch])
        for (z, y, x), probabilities in zip(batch, network(windows)):
            if z > first:  # no later window reaches the planes before z
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
    """Move the planes of axis 1 down by ``by`` places; zeros come in behind them."""
    keep = planes.shape[1] - by
    for plane in range(keep):  # one plane at a time: an overlapping assignment would copy the whole array
        planes[:, plane] = planes[:, plane + by]
    planes[:, keep:] = 0
