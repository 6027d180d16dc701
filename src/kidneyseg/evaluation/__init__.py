"""Evaluation of recipes and ensembles on the same folds of the same cases, for ``kidneyseg compare`` and ``eval``."""

from kidneyseg.evaluation.candidate import Candidate, CandidateResult, Contest
from kidneyseg.evaluation.ensemble_candidate import EnsembleCandidate, ensemble_name
from kidneyseg.evaluation.recipe_candidate import RecipeCandidate

__all__ = ["Contest", "RecipeCandidate", "Candidate", "CandidateResult", "EnsembleCandidate", "ensemble_name"]
