"""Targets of training samples: class indices, and codes for voxels that may be of several classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

SEVERAL = 128  # added to one bit per class, the background's the lowest, so that a target still is uint8
MOST = 7  # classes that fit beside it


def code_of(classes: Iterable[int]) -> int:
    """What a voxel of one of ``classes`` is in a target: the class itself, or a code from 128 on."""
    classes = set(classes)
    return classes.pop() if len(classes) == 1 else SEVERAL + sum(1 << index for index in classes)


def classes_of(code: int) -> tuple[int, ...]:
    """The classes that :func:`code_of` was given, sorted."""
    return (code,) if code < SEVERAL else tuple(index for index in range(MOST) if code >> index & 1)


def class_table(targets: Sequence[Sequence[int]], uncertain: Mapping[int, Sequence[int]] | None = None) -> np.ndarray:
    """(256,) uint8: the target of every label.

    Args:
        targets: of a stage: ``k + 1`` is the class of the labels in ``targets[k]``, 0 that of all others.
        uncertain: labels that stand for one of several, see :meth:`kidneyseg.cohort.case.DataSet.uncertain`.

    Raises:
        ValueError: more classes than a code can hold.
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
