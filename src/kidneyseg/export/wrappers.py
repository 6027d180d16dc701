"""What is exported of a stage: its network with a softmax behind it and, if asked for, normalisation before it."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from kidneyseg import nets
from kidneyseg.export.graph import ExportOptions
from kidneyseg.model_folder.network import Probabilities
from kidneyseg.recipe import Intensity, Stage

LEAST_VARIANCE = 1e-9  # far below that of any image with two values, the least of which is 1 / voxels


def probabilities(network: nn.Cell, stage: Stage, form: ExportOptions) -> Probabilities:
    """``network`` of ``stage`` as it is exported in ``form``; float16 changes it in place."""
    if form.float16:
        _to_float16(network)
    if form.uint8:
        network = Normalised(network, stage.intensity, stage.dims)
    return Probabilities(network)


class Normalised(nn.Cell):
    """A network for 8-bit images: (N, channels, \\*S) uint8, normalised as :mod:`kidneyseg.volume.intensity` does.

    Args:
        network: takes normalised float32.
        intensity: given mean and standard deviation, or those of each image.
        dims: axes of S.
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
            # Whole numbers less a whole number are exact: an image of one value becomes 0, without a case of its own.
            values = values - ops.round(self._average(values))
            values = values - self._average(values)
            variance = self._average(ops.square(values))
            return self.network(ops.div(values, ops.sqrt(ops.maximum(variance, LEAST_VARIANCE))))
        return self.network(ops.div(values - self.mean, self.std))

    def _average(self, values: ms.Tensor) -> ms.Tensor:
        for axis in self.axes:  # one at a time: a float32 sum over a whole volume would be rounded too much
            values = ops.mean(values, axis, True)
        return values


def _to_float16(network: nn.Cell) -> None:
    nets.apply_precision(network, "float16")
    for _, cell in network.cells_and_names():
        if cell.get_flags()["fp16"]:
            for _, parameter in cell.parameters_and_names(expand=False):
                parameter.set_dtype(ms.float16)
