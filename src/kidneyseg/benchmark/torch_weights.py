"""Trained weights for the PyTorch versions of the networks: written by a process with MindSpore, read without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.recipe import Recipe, SliceSampling, Stage, VolumeSampling

if TYPE_CHECKING:
    from torch import nn

TWINS = ("unet3d", "unet3plus")
MOVING = ("moving_mean", "moving_variance")


def require_twins(recipe: Recipe) -> None:
    """Raise InputError if a stage of ``recipe`` has no PyTorch version."""
    for stage in recipe.stages:
        network, sampling, region = stage.network, stage.sampling, stage.region
        plain = (
            isinstance(sampling, VolumeSampling) or isinstance(sampling, SliceSampling) and sampling.stack == 1
        ) and not (
            network.residual
            or network.attention
            or network.deep_supervision
            or region.masked
            or region.confined
            or stage.intensity.per_volume
            or stage.inference.mirrors
            or stage.inference.merge != "gaussian"
        )
        if network.name not in TWINS or not plain:
            raise InputError(
                f"benchmark predict, stage {stage.name!r}",
                expected=f"a plain {' or '.join(TWINS)} on volumes or single slices, without options",
                found=f"{network.name} with options that have no counterpart in PyTorch",
                remedy="Give --peer none to time this project alone",
            )


def write_weights(recipe: Recipe, model: Path, folder: Path) -> None:
    """Write ``folder/<stage>.npz`` for every stage of a model folder. Raises InputError for a bad checkpoint."""
    from kidneyseg.model_folder.network import stock_network

    for stage in recipe.stages:
        parameters = stock_network(stage, checkpoint_path(model, stage.name)).get_parameters()
        named = [(parameter.name, parameter.asnumpy()) for parameter in parameters]
        learnt = [values for name, values in named if not name.endswith(MOVING)]
        moving = [values for name, values in named if name.endswith(MOVING)]
        np.savez(
            folder / f"{stage.name}.npz",
            **{f"learnt{n}": values for n, values in enumerate(learnt)},
            **{f"moving{n}": values for n, values in enumerate(moving)},
        )


def load_twin(stage: Stage, folder: Path) -> nn.Module:
    """Load the network of ``stage`` in PyTorch with the weights in ``folder``.

    Tensors are assigned by their order, because the PyTorch versions define their layers in the order of
    ``kidneyseg.nets``.
    """
    import torch

    from kidneyseg.benchmark import torch_networks as twins

    network = stage.network
    twin = getattr(twins, network.name)(stage.channels, stage.classes, network.width, network.depth, network.norm)
    with np.load(folder / f"{stage.name}.npz") as stored:
        moving = [buffer for name, buffer in twin.named_buffers() if not name.endswith("num_batches_tracked")]
        for kind, tensors in (("learnt", list(twin.parameters())), ("moving", moving)):
            for number, tensor in enumerate(tensors):
                tensor.data = torch.from_numpy(stored[f"{kind}{number}"]).reshape(tensor.shape)
    return twin
