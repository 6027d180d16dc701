"""Scores of a trained recipe on held-out cases, with the whole cascade from raw CT, and with ROIs from true masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from kidneyseg.cohort.case import Case
from kidneyseg.errors import InputError
from kidneyseg.inference.model import Segmenter
from kidneyseg.metrics.mask_folder import score_masks
from kidneyseg.metrics.summary import FoldScores, score_fold
from kidneyseg.system.failures import explain
from kidneyseg.system.prefetch import prefetch
from kidneyseg.system.worker_pool import require_all
from kidneyseg.volume.nifti import Scan, read_image, read_mask, warn_of_doubts, write_mask


@dataclass(frozen=True)
class FoldResult:
    """Scores of a fold's validation cases.

    Attributes:
        scores: scores of the whole cascade, with ROIs from the earlier stage's mask, and the failed cases; None if no
            case was scored.
        oracle: the same with ROIs from the true mask; None if not requested.
        seconds: case -> wall time of the whole cascade.
    """

    scores: FoldScores | None
    oracle: FoldScores | None
    seconds: dict[str, float]


def evaluate_cases(model: Segmenter, cases: Sequence[Case], out: Path, *, oracle: bool = True) -> FoldResult:
    """Segment ``cases``, write ``out/<case>.nii.gz`` and score these files against the true masks.

    If a case fails, it is listed in the scores and the others continue, whatever the error is.

    Args:
        model: the model.
        cases: scans with masks that were not used in training. Labels are read with the ``merge`` of data set and
            recipe. A single slice cannot be segmented by a 3-D stage and is scored only with true ROIs.
        out: folder for the masks.
        oracle: also score the last stages alone, with ROIs from the true mask.

    Raises:
        InputError: all cases failed.
    """
    honest, ideal, seconds = [], [], {}
    failed: dict[str, InputError] = {}

    def read(case: Case) -> tuple[Scan, Scan]:
        return read_image(case.image), read_mask(case.true_mask_path(), case.reading(merge))

    merge, volumes_only = model.recipe.merge, any(stage.dims == 3 for stage in model.recipe.stages)

    def evaluate(case: Case, both: Callable[[], tuple[Scan, Scan]]) -> None:
        scan, truth = both()
        truth.require_on(scan)
        warn_of_doubts(scan, truth)
        uncertain = case.uncertain(merge)
        scores = []
        if scan.array.shape[0] > 1 or not volumes_only:
            path = out / f"{case.name}.nii.gz"
            result = model.segment(scan)
            write_mask(path, result.mask, scan)
            scores.append(score_masks(case.name, read_mask(path), truth, uncertain))
        if oracle:
            best = model.segment(scan, oracle=truth.array).mask
            ideal.append(score_masks(case.name, replace(truth, array=best), truth, uncertain))
        if scores:  # here, so that a failed case is in neither list
            honest.extend(scores)
            seconds[case.name] = sum(result.seconds.values())

    with tqdm(total=len(cases), desc="evaluate", unit="case", disable=None) as bar:
        for case, both in prefetch(read, cases):
            bar.set_postfix_str(case.name)
            try:
                evaluate(case, both)
            except Exception as error:
                failed[case.name] = explain(case.name, error)
            bar.update()
    if not honest and not ideal:
        require_all(failed, len(cases))
    said = {name: str(error) for name, error in failed.items()}
    fold_scores, oracle_scores = (score_fold(scores, failed=said) if scores else None for scores in (honest, ideal))
    return FoldResult(fold_scores, oracle_scores, seconds)
