"""Base class and short type names for all parts of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Triple = tuple[float, float, float]
Size2 = tuple[int, int]
Size3 = tuple[int, int, int]


class RecipePart(BaseModel):
    """Immutable typed data that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
