"""The recipe: everything that makes one segmentation system, as typed data."""

from kidneyseg.recipe.files import load_recipe, parse_recipe, save_recipe
from kidneyseg.recipe.schema import (
    Augment,
    Component,
    Inference,
    Intensity,
    Loss,
    Network,
    Recipe,
    Region,
    Sampler,
    Schedule,
    Slices,
    Stage,
    Train,
    Volumes,
)

__all__ = [
    "Augment", "Component", "Inference", "Intensity", "Loss", "Network", "Recipe", "Region", "Sampler", "Schedule",
    "Slices", "Stage", "Train", "Volumes", "load_recipe", "parse_recipe", "save_recipe",
]
