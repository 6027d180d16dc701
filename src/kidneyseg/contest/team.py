"""Several contestants as one entrant: the ensemble of their models of each fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kidneyseg.contest.contestant import Contestant
from kidneyseg.contest.entrant import Contest, Entrant


class Team(Entrant):
    """Trained contestants whose probabilities are averaged; in WORK/<one>+<other>/.

    Args:
        members: two or more, all trained on all folds.
    """

    def __init__(self, contest: Contest, members: Sequence[Contestant]) -> None:
        super().__init__(contest, team_name([member.name for member in members]), {"minutes": contest.minutes})
        self.members = tuple(members)

    def models(self, fold: int) -> list[Path]:
        return [member.folder(fold) for member in self.members]

    def costs(self) -> dict[str, float]:
        """Of training, those of all members together, which were trained one after the other."""
        members = [member.costs() for member in self.members]
        return {
            "parameters": sum(costs["parameters"] for costs in members),
            "training_minutes": sum(costs["training_minutes"] for costs in members),
            "training_mib": max(costs["training_mib"] for costs in members),
        } | self.prediction_costs()


def team_name(members: Sequence[str]) -> str:
    return "+".join(members)
