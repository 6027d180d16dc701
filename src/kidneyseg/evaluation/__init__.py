"""Recipes, and ensembles of them, scored on the same folds of the same cases: what `kidneyseg compare` does."""

from kidneyseg.evaluation.candidate import Candidate, CandidateResult, Contest
from kidneyseg.evaluation.ensemble_candidate import EnsembleCandidate, ensemble_name
from kidneyseg.evaluation.recipe_candidate import RecipeCandidate

__all__ = ["Contest", "RecipeCandidate", "Candidate", "CandidateResult", "EnsembleCandidate", "ensemble_name"]
