"""What every part of a recipe has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Triple = tuple[float, float, float]
Size2 = tuple[int, int]
Size3 = tuple[int, int, int]


class RecipePart(BaseModel):
    """Typed data that does not change; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
