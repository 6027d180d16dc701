"""The scores of many cases together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

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
    cases: Sequence[Score], *, missing: Sequence[str] = (), without_truth: Sequence[str] = (),
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
        key: tuple(str(case["case"]) for case in cases if math.isnan(case[key]))
        for key in keys if len(defined[key]) < len(cases)
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
