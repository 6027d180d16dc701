"""The honest scores of a trained recipe: whole cascade, from raw CT, on cases it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from kidneyseg.ahead import ahead
from kidneyseg.data.cohort import Case
from kidneyseg.inference.ensemble import Ensemble
from kidneyseg.inference.model import Model
from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.evaluate import score_masks
from kidneyseg.metrics.fold import FoldScores, score_fold
from kidneyseg.volume.nifti import Scan, read_image, read_mask, write_mask


@dataclass(frozen=True)
class FoldResult:
    """Scores of a fold's validation cases.

    Attributes:
        scores: of the masks as they are predicted, ROIs from the earlier stage's mask; None if there are no such cases.
        oracle: the same with ROIs from the true mask, None if not asked for.
        seconds: wall time per case of the honest prediction, by case.
    """

    scores: FoldScores | None
    oracle: FoldScores | None
    seconds: dict[str, float]


def evaluate_cases(model: Model | Ensemble, cases: Sequence[Case], out: Path, *, oracle: bool = True) -> FoldResult:
    """Segment ``cases``, write ``out/<case>.nii.gz`` and score those files against the cases' masks.

    Args:
        cases: scans with masks that training has not seen; labels are read as data set and recipe say. A single slice
            cannot be searched by a 3-D stage and is scored on true regions alone.
        oracle: also score the stages with ROIs alone, on ROIs cut from the true mask.

    Raises:
        InputError: a scan or mask cannot be read, or the mask does not lie on its scan.
    """
    honest, ideal, seconds = [], [], {}

    def read(case: Case) -> tuple[Scan, Scan]:
        return read_image(case.image), read_mask(case.label, case.reading(merge))

    merge, volumes_only = model.recipe.merge, any(stage.dims == 3 for stage in model.recipe.stages)

    with tqdm(total=len(cases), desc="evaluate", unit="case", disable=None) as bar:
        for case, both in ahead(read, cases):
            bar.set_postfix_str(case.name)
            scan, truth = both()
            truth.require_on(scan)
            uncertain = case.uncertain(merge)
            if scan.array.shape[0] > 1 or not volumes_only:
                path = out / f"{case.name}.nii.gz"
                result = model.segment(scan)
                seconds[case.name] = sum(result.seconds.values())
                write_mask(path, result.mask, scan)
                honest.append(score_masks(case.name, read_mask(path), truth, uncertain))
            if oracle:
                best = model.segment(scan, oracle=truth.array).mask
                ideal.append({"case": case.name, **score_case(best, truth.array, truth.spacing, uncertain)})
            bar.update()
    return FoldResult(score_fold(honest) if honest else None, score_fold(ideal) if ideal else None, seconds)
