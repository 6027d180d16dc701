"""Scores of existing masks: a folder of predictions against a folder of true masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.pairing import Pair, Pairing, find_masks, pair_masks
from kidneyseg.metrics.summary import FoldScores, score_fold
from kidneyseg.system.worker_pool import require_all, try_cases
from kidneyseg.volume.nifti import Scan, read_mask, warn_of_doubts


def score_folder(
    prediction_dir: str | Path,
    truth_dir: str | Path,
    *,
    workers: int = 1,
    paired: Callable[[Pairing], None] = lambda pairing: None,
) -> FoldScores:
    """Score every case of ``truth_dir``.

    See :func:`kidneyseg.metrics.pairing.find_masks` and ``pair_masks`` for layouts and names. A case without a
    prediction is listed as missing and scored as an empty prediction. A case whose masks cannot be read, or have
    different grids, is listed as failed and not scored.

    Args:
        prediction_dir: folder of predicted masks.
        truth_dir: folder of true masks.
        workers: number of processes; one case needs about 1 GiB.
        paired: called with the pairs before the work begins.

    Raises:
        InputError: a folder without masks, no pairs, or no case that can be scored.
    """
    pairing = pair_masks(find_masks(prediction_dir), find_masks(truth_dir))
    paired(pairing)
    names = [pair.case for pair in pairing.pairs]
    outcomes = try_cases(_score_pair, pairing.pairs, names, workers=workers, title="score")
    scores = [one for one in outcomes if not isinstance(one, InputError)]
    failed = {name: one for name, one in zip(names, outcomes) if isinstance(one, InputError)}
    if not scores:
        require_all(failed, len(names))
    missing = [pair.case for pair in pairing.pairs if pair.prediction is None]
    return score_fold(
        scores,
        missing=missing,
        without_truth=pairing.without_truth,
        failed={name: str(error) for name, error in failed.items()},
    )


def score_masks(
    case: str, prediction: Scan, truth: Scan, uncertain: Mapping[int, Sequence[int]] | None = None
) -> dict[str, str | float]:
    """Return ``case`` and the scores of :func:`score_case`. Raises InputError if the masks have different grids."""
    prediction.require_on(truth)
    return {"case": case, **score_case(prediction.array, truth.array, truth.spacing, uncertain, truth.voxel_ml)}


def _score_pair(pair: Pair) -> dict[str, str | float]:
    truth = read_mask(pair.truth)
    absent = replace(truth, array=np.zeros_like(truth.array), doubts=())
    prediction = read_mask(pair.prediction) if pair.prediction else absent
    warn_of_doubts(truth, prediction)
    return score_masks(pair.case, prediction, truth)
