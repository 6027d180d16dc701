"""An ensemble of several recipes as one candidate: the models of each fold are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kidneyseg.evaluation.candidate import Candidate, Contest
from kidneyseg.evaluation.recipe_candidate import RecipeCandidate


class EnsembleCandidate(Candidate):
    """Trained recipes whose probabilities are averaged; its folder is WORK/<one>+<other>@<finder>/.

    Args:
        contest: the shared settings.
        members: one or more recipes, all trained on all folds.
        finders: trained recipes that take part only in the localisation.
    """

    def __init__(
        self, contest: Contest, members: Sequence[RecipeCandidate], finders: Sequence[RecipeCandidate] = ()
    ) -> None:
        name = ensemble_name([member.name for member in members], [finder.name for finder in finders])
        super().__init__(contest, name, {"minutes": contest.minutes})
        self.members, self.finding = tuple(members), tuple(finders)

    def models(self, fold: int) -> list[Path]:
        return [member.folder(fold) for member in self.members]

    def finders(self, fold: int) -> list[Path]:
        return [finder.folder(fold) for finder in self.finding]

    def costs(self) -> dict[str, float]:
        """Return the costs; those of training are for all members and finders, trained one after the other."""
        members = [member.costs() for member in (*self.members, *self.finding)]
        return {
            "parameters": sum(costs["parameters"] for costs in members),
            "training_minutes": sum(costs["training_minutes"] for costs in members),
            "training_mib": max(costs["training_mib"] for costs in members),
        } | self.prediction_costs()


def ensemble_name(members: Sequence[str], finders: Sequence[str]) -> str:
    """Return the name ``<one>+<other>@<finder>``."""
    return "@".join("+".join(names) for names in (members, finders) if names)
