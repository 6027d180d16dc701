"""What a stage sees of a scan after perfect stages."""

from __future__ import annotations

import numpy as np

from kidneyseg.preprocessing.stage_view import StageView, true_views
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.nifti import Scan


def true_view(scan: Scan, label: np.ndarray, recipe: Recipe, stage: Stage) -> StageView:
    return next(view for view in true_views(scan, label, recipe) if view.stage == stage)
