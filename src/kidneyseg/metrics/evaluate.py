"""Scores of anybody's masks: a folder of predictions against a folder of truth."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Sequence

import numpy as np
from tqdm import tqdm

from kidneyseg.errors import InputError, nearest
from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.fold import FoldScores, score_fold
from kidneyseg.metrics.pairing import Pair, find_masks, pair_masks
from kidneyseg.volume.nifti import Scan, read_mask


def score_folder(
    prediction_dir: str | Path,
    truth_dir: str | Path,
    *,
    cases: Sequence[str] | None = None,
    workers: int = 1,
    progress: bool = True,
) -> FoldScores:
    """Score every case of ``truth_dir``; one without a prediction counts as predicted empty, and is named.

    Layouts and names: :func:`kidneyseg.metrics.pairing.find_masks`.

    Args:
        cases: score only these cases of ``truth_dir``.
        workers: processes; one case needs about 1 GiB.
        progress: show a progress bar on stderr.

    Raises:
        InputError: a folder without masks, nothing that pairs, an unknown case, an unreadable mask, or a prediction
            that lies elsewhere than its truth.
    """
    truth = find_masks(truth_dir)
    pairs, without_truth = pair_masks(find_masks(prediction_dir), truth)
    if cases is not None:
        _require_known(cases, truth, truth_dir)
        pairs = [pair for pair in pairs if pair.case in set(cases)]
    bar = tqdm(total=len(pairs), desc="scoring", unit="case", disable=not progress)
    scores = []
    with bar:
        for score in _map_pairs(pairs, workers):
            scores.append(score)
            bar.update()
    missing = [pair.case for pair in pairs if pair.prediction is None]
    return score_fold(scores, missing=missing, without_truth=without_truth)


def score_pair(pair: Pair) -> dict[str, str | float]:
    """``case`` and the scores of :func:`score_case` for the two files of ``pair``. Raises InputError."""
    truth = read_mask(pair.truth)
    if pair.prediction is None:
        return {"case": pair.case, **score_case(np.zeros_like(truth.array), truth.array, truth.spacing)}
    prediction = read_mask(pair.prediction)
    _require_same_place(prediction, truth)
    return {"case": pair.case, **score_case(prediction.array, truth.array, truth.spacing)}


def _map_pairs(pairs: list[Pair], workers: int):
    if workers <= 1:
        yield from map(score_pair, pairs)
        return
    # Spawned, not forked: the caller may have MindSpore's threads running.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(score_pair, pairs)
        except InputError:
            pool.shutdown(cancel_futures=True)  # the first bad mask ends the run, not the last case
            raise


def _require_known(cases: Sequence[str], truth: dict[str, Path], truth_dir: str | Path) -> None:
    if not cases:
        raise InputError(truth_dir, expected="at least one case to score", found="an empty list", remedy="Name some")
    for case in cases:
        if case not in truth:
            raise InputError(truth_dir, expected=f"a mask of case {case}", found=f"{len(truth)} other cases",
                             remedy=nearest(case, list(truth)) or "Check the list of cases")


def _require_same_place(prediction: Scan, truth: Scan) -> None:
    """The masks must have one shape, and no corner of them may lie more than half a voxel apart."""
    remedy = "Write the prediction on the grid and with the affine of its scan"
    if prediction.array.shape != truth.array.shape:
        raise InputError(prediction.path, expected=f"shape {truth.array.shape} (z, y, x) as in {truth.path}",
                         found=f"shape {prediction.array.shape}", remedy=remedy)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in truth.array.shape], [1], indexing="ij"), -1).reshape(-1, 4)
    apart = np.linalg.norm(corners @ (prediction.affine - truth.affine).T, axis=1).max()
    if apart > min(truth.spacing) / 2:
        raise InputError(prediction.path, expected=f"the place and spacing of {truth.path}",
                         found=f"corners up to {apart:.1f} mm away", remedy=remedy)
