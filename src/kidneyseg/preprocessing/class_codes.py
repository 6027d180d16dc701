"""Targets of training samples: class indices, and codes for voxels that may belong to several classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

SEVERAL = 128  # a code is this plus one bit per class, the lowest for the background; it fits into uint8
MOST = 7  # number of classes for which there are bits


def code_of(classes: Iterable[int]) -> int:
    """Return the target of a voxel that may be any of ``classes``: the class if it is one, else a code >= 128."""
    classes = set(classes)
    return classes.pop() if len(classes) == 1 else SEVERAL + sum(1 << index for index in classes)


def classes_of(code: int) -> tuple[int, ...]:
    """Return the classes of a code of :func:`code_of`, sorted."""
    return (code,) if code < SEVERAL else tuple(index for index in range(MOST) if code >> index & 1)


def class_table(targets: Sequence[Sequence[int]], uncertain: Mapping[int, Sequence[int]] | None = None) -> np.ndarray:
    """Build the table from label to target.

    Args:
        targets: targets of a stage: ``k + 1`` is the class of the labels in ``targets[k]``, 0 that of all others.
        uncertain: label -> the labels of which it may be any, see :meth:`kidneyseg.cohort.case.DataSet.uncertain`.

    Returns:
        (256,) uint8.

    Raises:
        ValueError: more classes than a code has bits for.
    """
    table = np.zeros(256, np.uint8)
    for index, labels in enumerate(targets, start=1):
        table[list(labels)] = index
    codes = {label: code_of(table[list(labels)].tolist()) for label, labels in (uncertain or {}).items()}
    if codes and len(targets) >= MOST:
        raise ValueError(f"labels that cover others leave room for {MOST - 1} targets, found {len(targets)}")
    for label, code in codes.items():
        table[label] = code
    return table
