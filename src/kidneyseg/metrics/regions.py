"""The regions that KiTS scores: their labels, and the tolerance of their surfaces (distance between two readers).

Labels are 1 kidney, 2 tumour, 3 cyst. KiTS19 has no 3 (its kidney label includes cysts), so the same regions can be
used for it: KiTS19's kidney (label > 0) is ``kidney_and_masses``, its tumour (label > 1) is ``tumour``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScoredRegion:
    """A hierarchical evaluation class (HEC) of KiTS21/23.

    Attributes:
        name: name in the keys of the scores.
        labels: labels of the region; every other value is background.
        tolerance: mm, for its surface Dice: the 95th percentile of the distance between readers (kits23,
            ``configuration/labels.py``).
    """

    name: str
    labels: tuple[int, ...]
    tolerance: float

    def of(self, mask: np.ndarray) -> np.ndarray:
        """Return the region in a label mask of any shape, as bool of the same shape."""
        return np.isin(mask, self.labels)

    def is_known(self, uncertain: Mapping[int, Sequence[int]]) -> bool:
        """Tell whether the region is known in a mask with the labels ``uncertain``, each of which may be several."""
        return all(
            set(labels) <= set(self.labels) or not set(labels) & set(self.labels) for labels in uncertain.values()
        )


KIDNEY_AND_MASSES = ScoredRegion("kidney_and_masses", (1, 2, 3), 1.0330772532390826)
MASSES = ScoredRegion("masses", (2, 3), 1.1328796488598762)
TUMOUR = ScoredRegion("tumour", (2,), 1.1498198361434828)
REGIONS = (KIDNEY_AND_MASSES, MASSES, TUMOUR)
