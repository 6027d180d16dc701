"""The recipe: everything that defines one segmentation system, as typed data."""

from kidneyseg.recipe.compatibility import common_labels, common_merge
from kidneyseg.recipe.files import load_recipe, parse_recipe, save_recipe
from kidneyseg.recipe.sampling import Region, SlabSampling, SliceSampling, VolumeSampling, WholeSampling
from kidneyseg.recipe.schema import Component, Inference, Intensity, Network, Recipe, Stage
from kidneyseg.recipe.training import Augment, Elastic, Lesion, Loss, Phases, Sampler, Schedule, SideOutputs, Train

__all__ = [
    "Augment",
    "Component",
    "Elastic",
    "Inference",
    "Intensity",
    "Lesion",
    "Loss",
    "Network",
    "Phases",
    "Recipe",
    "Region",
    "Sampler",
    "Schedule",
    "SideOutputs",
    "SlabSampling",
    "SliceSampling",
    "Stage",
    "Train",
    "VolumeSampling",
    "WholeSampling",
    "common_labels",
    "common_merge",
    "load_recipe",
    "parse_recipe",
    "save_recipe",
]
