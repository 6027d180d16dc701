"""The recipe: everything that makes one segmentation system, as typed data."""

from kidneyseg.recipe.common import common_labels, common_merge
from kidneyseg.recipe.files import load_recipe, parse_recipe, save_recipe
from kidneyseg.recipe.geometry import Region, Slabs, Slices, Volumes, Whole
from kidneyseg.recipe.schema import Component, Inference, Intensity, Network, Recipe, Stage
from kidneyseg.recipe.training import Augment, Elastic, Lesion, Loss, Phases, Sampler, Schedule, SideOutputs, Train

__all__ = [
    "Augment", "Component", "Elastic", "Inference", "Intensity", "Lesion", "Loss", "Network", "Phases", "Recipe",
    "Region", "Sampler", "Schedule", "SideOutputs", "Slabs", "Slices", "Stage", "Train", "Volumes", "Whole",
    "common_labels", "common_merge", "load_recipe", "parse_recipe", "save_recipe",
]
