"""The scores of many cases together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kidneyseg.metrics.regions import KIDNEY_AND_MASSES, TUMOUR

Score = Mapping[str, "str | float"]


@dataclass(frozen=True)
class FoldScores:
    """Scores per case and over all of them.

    Attributes:
        cases: one mapping per case: ``case`` is its name, every other key a number as in
            :func:`kidneyseg.metrics.case.score_case`.
        mean, sd: per key, over the cases where it is a number; NaN where there is none. ``sd`` describes the spread
            of these very cases (division by n, not n - 1), so it is 0 for a single case.
        undefined: per key the names of the cases it is NaN for, which its mean and SD leave out.
        missing: cases without a prediction; they are scored as empty masks, not left out.
        without_truth: predictions nobody has the truth for; not scored.
        failed: cases that could not be scored, and why; the mean leaves them out.
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
    """Gather the scores of cases that have the same keys; see :class:`FoldScores`.

    Raises:
        ValueError: no cases.
    """
    if not cases:
        raise ValueError("no cases to gather")
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
    """``kidney`` and ``tumour`` -> Dice of all cases' masks taken together, by volume; NaN where no case has one.

    Large regions count for more, as in scores pooled over slices: Dice and both volumes of a case say its overlap.
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
