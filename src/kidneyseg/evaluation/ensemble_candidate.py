"""Several contestants as one entrant: the ensemble of their models of each fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kidneyseg.evaluation.candidate import Candidate, Contest
from kidneyseg.evaluation.recipe_candidate import RecipeCandidate


class EnsembleCandidate(Candidate):
    """Trained contestants whose probabilities are averaged; in WORK/<one>+<other>@<finder>/.

    Args:
        members: one or more, all trained on all folds.
        finders: others, whose first stages help to find regions, trained too.
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
        """Of training, those of all members and finders together, which were trained one after the other."""
        members = [member.costs() for member in (*self.members, *self.finding)]
        return {
            "parameters": sum(costs["parameters"] for costs in members),
            "training_minutes": sum(costs["training_minutes"] for costs in members),
            "training_mib": max(costs["training_mib"] for costs in members),
        } | self.prediction_costs()


def ensemble_name(members: Sequence[str], finders: Sequence[str]) -> str:
    return "@".join("+".join(names) for names in (members, finders) if names)
