"""Cells for means over space and for gates, channels-last, as ``cells.py`` has the others."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from kidneyseg.cpu_kernels import operators
from kidneyseg.cpu_kernels.cells import Unsupported, per_axis


class SpatialMean(nn.Cell):
    """In the place of nets.layers.blocks.SpatialMean. A tensor (N, C, 1...) lies the same in either layout."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.spatial_mean()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x)


class Broadcast(nn.Cell):
    """In the place of nets.layers.blocks.Broadcast."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.broadcast()

    def construct(self, x: ms.Tensor, like: ms.Tensor) -> ms.Tensor:
        return self.operator(x, like)


class Scale(nn.Cell):
    """In the place of nets.layers.attention.Scale."""

    def __init__(self, _: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.operator = operators.scale()

    def construct(self, features: ms.Tensor, gate: ms.Tensor) -> ms.Tensor:
        return self.operator(features, gate)


class MaxPool(nn.Cell):
    """In the place of nn.MaxPool2d, nn.MaxPool3d without padding of their own; ``pad`` voxels go before and after."""

    def __init__(self, cell: nn.MaxPool2d | nn.MaxPool3d, pad: int = 0) -> None:
        super().__init__(auto_prefix=False)
        axes = 2 if isinstance(cell, nn.MaxPool2d) else 3
        if cell.pad_mode.lower() != "valid":
            raise Unsupported("padding")
        kernel, strides, padding = (per_axis(value, axes) for value in (cell.kernel_size, cell.stride, pad))
        self.settings = pooling_settings(kernel, strides, padding)
        self.operator = operators.max_pool(kernel, strides, padding)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x, self.settings)


class AveragePool(nn.Cell):
    """In the place of nn.AvgPool2d without padding."""

    def __init__(self, cell: nn.AvgPool2d) -> None:
        super().__init__(auto_prefix=False)
        if cell.is_expand or cell.pad_mode.lower() != "valid":
            raise Unsupported("padding, or another divisor")
        kernel, strides = per_axis(cell.kernel_size, 2), per_axis(cell.stride, 2)
        self.settings = pooling_settings(kernel, strides, (0, 0))
        self.operator = operators.average_pool(kernel, strides)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.operator(x, self.settings)


def pooling_settings(kernel: tuple[int, ...], strides: tuple[int, ...], pad: tuple[int, ...]) -> ms.Tensor:
    """The settings of a pooling over two or three axes, in the order of ``Pooling`` in source/pooling.cc."""
    missing = 3 - len(kernel)
    return operators.integers(*(1,) * missing, *kernel, *(1,) * missing, *strides, *(0,) * missing, *pad)
