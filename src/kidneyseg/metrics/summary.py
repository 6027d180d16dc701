"""Summary of the scores of many cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kidneyseg.metrics.regions import KIDNEY_AND_MASSES, TUMOUR

Score = Mapping[str, "str | float"]


@dataclass(frozen=True)
class FoldScores:
    """Scores of each case and of all cases.

    Attributes:
        cases: one mapping per case: ``case`` is its name, every other key a number as in
            :func:`kidneyseg.metrics.case.score_case`.
        mean, sd: per key, over the cases for which it is defined; NaN if there is none. ``sd`` is the standard
            deviation of these cases (division by n, not n - 1), so it is 0 for a single case.
        undefined: per key, the names of the cases for which it is NaN; mean and SD leave them out.
        missing: cases without a prediction; they are scored as empty masks and not left out.
        without_truth: predictions without a true mask; not scored.
        failed: cases that could not be scored -> reason; the mean leaves them out.
    """

    cases: tuple[Score, ...]
    mean: dict[str, float]
    sd: dict[str, float]
    undefined: dict[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    without_truth: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def score_fold(
    cases: Sequence[Score],
    *,
    missing: Sequence[str] = (),
    without_truth: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
) -> FoldScores:
    """Combine the scores of cases with the same keys; see :class:`FoldScores`.

    Raises:
        ValueError: no cases.
    """
    if not cases:
        raise ValueError("no cases to combine")
    keys = [key for key in cases[0] if key != "case"]
    values = {key: np.array([case[key] for case in cases], float) for key in keys}
    defined = {key: numbers[~np.isnan(numbers)] for key, numbers in values.items()}
    undefined = {
        key: tuple(str(case["case"]) for case in cases if math.isnan(float(case[key])))
        for key in keys
        if len(defined[key]) < len(cases)
    }
    return FoldScores(
        cases=tuple(cases),
        mean={key: float(numbers.mean()) if numbers.size else math.nan for key, numbers in defined.items()},
        sd={key: float(numbers.std()) if numbers.size else math.nan for key, numbers in defined.items()},
        undefined=undefined,
        missing=tuple(missing),
        without_truth=tuple(without_truth),
        failed=dict(failed or {}),
    )


def pooled_dice(scores: FoldScores) -> dict[str, float]:
    """Compute the Dice of all cases' masks together, for ``kidney`` and ``tumour``; NaN if it is defined for no case.

    Large regions have more weight, as in scores pooled over slices. The overlap of a case follows from its Dice and its
    two volumes.
    """
    return {
        name: _pooled(scores.cases, region)
        for name, region in (("kidney", KIDNEY_AND_MASSES.name), ("tumour", TUMOUR.name))
    }


def _pooled(cases: Sequence[Score], region: str) -> float:
    predicted, true, dice = (
        np.array([case[key] for case in cases], float)
        for key in (f"volume_ml_{region}_prediction", f"volume_ml_{region}_truth", f"dice_{region}")
    )
    sizes = predicted + true
    counts = ~np.isnan(dice)
    total = sizes[counts].sum()
    return float((dice * sizes)[counts].sum() / total) if total > 0 else math.nan
