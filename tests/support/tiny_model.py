"""A model folder of tiny networks with random weights: real checkpoints, made in a second."""

from __future__ import annotations

from pathlib import Path

from kidneyseg.recipe import Recipe, parse_recipe, save_recipe


def tiny_recipe(coarse: str = "unet3d", fine: str = "unet3plus", **changes) -> Recipe:
    """mplab's two stages with networks of 4 channels."""
    return parse_recipe(
        {
            "name": "tiny",
            "stages": [
                {
                    "name": "coarse",
                    "sampling": {"spacing": [3.22, 1.62, 1.62], "patch": [16, 32, 32], "stride": [16, 32, 32]},
                    "targets": [[1, 2]],
                    "network": {"name": coarse, "width": 4, "depth": 2},
                    "loss": {"name": "dice_ce"},
                    "inference": {"overlap": 0.25, "batch_size": 2},
                },
                {
                    "name": "fine",
                    "region": {"of": "coarse"},
                    "sampling": {"size": [32, 32]},
                    "targets": [[1], [2]],
                    "network": {"name": fine, "width": 4, "depth": 2},
                    "loss": {"name": "hybrid_dice"},
                    "inference": {"batch_size": 3},
                },
            ],
            **changes,
        }
    )


def save_tiny_model(folder: Path, recipe: Recipe | None = None) -> Recipe:
    """Write ``recipe`` (default: tiny_recipe()) with the random weights of its seed as a model folder."""
    import mindspore as ms

    from kidneyseg import nets
    from kidneyseg.model_folder.checkpoint import TrainingState, save_weights

    recipe = recipe or tiny_recipe()
    folder.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, folder / "recipe.yaml")
    for seed, stage in enumerate(recipe.stages):
        ms.set_seed(seed)
        (folder / stage.name).mkdir()
        network = nets.build_network(stage.network, stage.classes, stage.channels)
        save_weights(folder / stage.name / "best.ckpt", network, TrainingState())
    return recipe
