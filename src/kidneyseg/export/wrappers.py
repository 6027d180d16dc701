"""The exported form of a stage's network: with a softmax after it and, optionally, the normalisation before it."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg import nets
from kidneyseg.export.graph import ExportOptions
from kidneyseg.model_folder.network import Probabilities
from kidneyseg.recipe import Intensity, Stage

LEAST_VARIANCE = 1e-9  # far below the variance of any image with two values, which is about 1 / voxels or more


def probabilities(network: nn.Cell, stage: Stage, form: ExportOptions) -> Probabilities:
    """Wrap the network of ``stage`` for an export with the options ``form``; float16 changes ``network`` in place."""
    if form.float16:
        _to_float16(network)
    if form.uint8:
        network = Normalised(network, stage.intensity, stage.dims)
    return Probabilities(network)


class Normalised(nn.Cell):
    """A network with 8-bit input, (N, channels, \\*S) uint8, normalised like :mod:`kidneyseg.volume.intensity` does it.

    Args:
        network: network with normalised float32 input.
        intensity: given mean and standard deviation, or those of each image.
        dims: number of axes of S.
    """

    def __init__(self, network: nn.Cell, intensity: Intensity, dims: int) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.per_volume = intensity.per_volume
        self.mean, self.std = ms.Tensor(intensity.mean, ms.float32), ms.Tensor(intensity.std, ms.float32)
        self.axes = tuple(range(dims + 1, 0, -1))

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        values = images.astype(ms.float32)
        if self.per_volume:
            # Integers minus an integer are exact, so an image with one value becomes exactly 0 without a special case.
            values = values - ops.round(self._average(values))
            values = values - self._average(values)
            variance = self._average(ops.square(values))
            return self.network(ops.div(values, ops.sqrt(ops.maximum(variance, LEAST_VARIANCE))))
        return self.network(ops.div(values - self.mean, self.std))

    def _average(self, values: ms.Tensor) -> ms.Tensor:
        for axis in self.axes:  # one axis at a time, because a float32 sum over a whole volume is too inexact
            values = ops.mean(values, axis, True)
        return values


def _to_float16(network: nn.Cell) -> None:
    nets.apply_precision(network, "float16")
    for _, cell in network.cells_and_names():
        if cell.get_flags()["fp16"]:
            for _, parameter in cell.parameters_and_names(expand=False):
                parameter.set_dtype(ms.float16)
