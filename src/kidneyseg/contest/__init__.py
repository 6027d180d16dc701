"""Recipes, and ensembles of them, scored on the same folds of the same cases: what `kidneyseg compare` does."""

from kidneyseg.contest.contestant import Contestant
from kidneyseg.contest.entrant import Contest, Entrant, Outcome
from kidneyseg.contest.team import Team, team_name

__all__ = ["Contest", "Contestant", "Entrant", "Outcome", "Team", "team_name"]
