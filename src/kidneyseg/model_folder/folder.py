"""Model folders, which contain ``recipe.yaml`` and ``<stage>/best.ckpt`` for every stage."""

from __future__ import annotations

from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.recipe import Recipe, load_recipe

RECIPE = "recipe.yaml"
BEST, LAST = "best.ckpt", "last.ckpt"  # weights of the best validation; state to continue the training


def checkpoint_path(folder: str | Path, stage: str) -> Path:
    """Return the path of the weights of ``stage`` in a model folder."""
    return Path(folder) / stage / BEST


def read_checkpoints_recipe(folder: Path) -> Recipe:
    """Read the recipe of a model folder, after a check that all checkpoints exist.

    Raises:
        InputError: no such folder, no recipe in it, or a stage without checkpoint.
    """
    if not (folder / RECIPE).is_file():
        found = f"no {RECIPE} in it" if folder.is_dir() else "a file" if folder.exists() else "no such folder"
        raise InputError(
            folder,
            expected=f"a model folder ({RECIPE} and STAGE/{BEST})",
            found=found,
            remedy="Give WORK/fold0 of a trained recipe, or a folder of model_zoo/",
        )
    recipe = load_recipe(folder / RECIPE)
    for stage in recipe.stages:
        path = checkpoint_path(folder, stage.name)
        if not path.is_file():
            raise InputError(
                path,
                expected=f"the trained weights of stage {stage.name!r}",
                found="no such file",
                remedy=f"Run `kidneyseg train --stage {stage.name}`, or copy the checkpoint there",
            )
    return recipe
