"""Cells for an Ascend in the place of MindSpore's, of the same results and parameters.

MindSpore's Ascend library has no aclnn kernel of `Conv3DTranspose` and `MaxPool3D`, and MindSpore documents `nn.Conv3d`
in float16 alone there. Nobody has run the cells below on an NPU yet; on a CPU they are equal to MindSpore's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mindspore as ms
from mindspore import nn, ops

from kidneyseg import nets
from kidneyseg.cpu_kernels.replace_cells import replace_child
from kidneyseg.errors import InputError


class UpConvolution3D(nn.Cell):
    """In the place of `nn.Conv3dTranspose` whose kernel is its stride: (N, C, z, y, x) -> (N, out, z kz, y ky, x kx).

    The imprints of such a kernel do not overlap: a convolution of kernel 1 makes all voxels of an imprint as channels,
    which are then laid beside each other.
    """

    def __init__(self, cell: nn.Conv3dTranspose) -> None:
        super().__init__(auto_prefix=False)
        self.weight, self.bias, self.has_bias = cell.weight, cell.bias, cell.has_bias
        self.kernel = tuple(cell.weight.shape[2:])
        self.channels = cell.weight.shape[1]
        self.convolution = ops.Conv3D(self.channels * math.prod(self.kernel), 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        images, before, *lengths = x.shape
        after, kernel = self.channels, self.kernel
        weight = ops.reshape(ops.cast(self.weight, x.dtype), (before, -1))
        x = self.convolution(x, ops.reshape(ops.transpose(weight, (1, 0)), (-1, before, 1, 1, 1)))
        x = ops.transpose(ops.reshape(x, (images * after, *kernel, *lengths)), (0, 4, 1, 5, 2, 6, 3))
        x = ops.reshape(x, (images, after, *[length * k for length, k in zip(lengths, kernel)]))
        return x + ops.reshape(ops.cast(self.bias, x.dtype), (1, after, 1, 1, 1)) if self.has_bias else x


class MaxPool3D(nn.Cell):
    """In the place of `nn.MaxPool3d` whose window is its stride: the maximum of every window, as a reduction.

    Lengths must be multiples of the window's. Where several voxels of a window are its maximum they share the
    gradient, which `nn.MaxPool3d` gives to the first of them.
    """

    def __init__(self, cell: nn.MaxPool3d) -> None:
        super().__init__()
        self.window = _triple(cell.kernel_size)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        images, channels, *lengths = x.shape
        depth, height, width = [length // k for length, k in zip(lengths, self.window)]
        kz, ky, kx = self.window
        windows = ops.reshape(x, (images * channels, depth, kz, height, ky, width, kx))
        return ops.reshape(ops.amax(windows, (2, 4, 6)), (images, channels, depth, height, width))


class InFloat16(nn.Cell):
    """A convolution of float32 that is computed in float16: networks want their logits in float32."""

    def __init__(self, cell: nn.Conv3d) -> None:
        super().__init__(auto_prefix=False)
        self.convolution = cell.to_float(ms.float16)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return ops.cast(self.convolution(x), ms.float32)


def prepare_network(network: nn.Cell, precision: str) -> nn.Cell:
    """``network`` with these cells wherever they can do the work, in ``precision``; use what is returned.

    Raises:
        InputError: MindSpore does not document the precision for the network, see :func:`precisions`.
    """
    able = precisions(network)
    if precision not in able:
        raise InputError(
            "precision on Ascend",
            expected=f"{' or '.join(able)}, all that MindSpore documents there for "
            + ("3-D convolutions" if len(able) == 1 else "pooling and up-sampling"),
            found=precision,
            remedy="Train with train.precision=auto, which is float16 on Ascend, and predict with --precision float16",
        )
    network = nets.apply_precision(replace(network, simpler), precision)
    return replace(network, narrower)


def replace(cell: nn.Cell, swap: Callable[[nn.Cell], nn.Cell]) -> nn.Cell:
    """Put what ``swap`` makes of a cell in its place, in all that ``cell`` holds; returns what to use."""
    swapped = swap(cell)
    if swapped is cell:
        for name, child in list(cell.name_cells().items()):
            replace_child(cell, name, replace(child, swap))
    return swapped


def simpler(cell: nn.Cell) -> nn.Cell:
    """The same of operators that an Ascend has, where there is such a cell."""
    if type(cell) is nn.Conv3dTranspose and _triple(cell.kernel_size) == _triple(cell.stride) and _is_whole(cell):
        return UpConvolution3D(cell)
    if type(cell) is nn.MaxPool3d and _triple(cell.kernel_size) == _triple(cell.stride) and _is_plain(cell):
        return MaxPool3D(cell)
    return cell


def narrower(cell: nn.Cell) -> nn.Cell:
    """A 3-D convolution in float16."""
    return InFloat16(cell) if type(cell) is nn.Conv3d and not cell.get_flags().get("fp16") else cell


def precisions(network: nn.Cell) -> tuple[str, ...]:
    """What MindSpore documents that ``network`` can compute in on an Ascend.

    Of 3-D convolutions that is float16 alone, of 2-D pooling and up-sampling float16 and float32.
    """
    volumes = any(isinstance(cell, (nn.Conv3d, nn.Conv3dTranspose)) for _, cell in network.cells_and_names())
    return ("float16",) if volumes else ("float16", "float32")


def _is_plain(cell: nn.MaxPool3d) -> bool:
    """Whether nothing but the maximum of whole windows is asked for."""
    return cell.pad_mode == "VALID" and not cell.return_indices


def _is_whole(cell: nn.Conv3dTranspose) -> bool:
    """Whether every voxel of the result comes from one voxel, through all input channels."""
    return cell.group == 1 and cell.pad_mode == "valid" and set(_triple(cell.dilation)) == {1}


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    """Of a setting that MindSpore keeps as a number, as three or, with batch and channels, as five."""
    return (value,) * 3 if isinstance(value, int) else tuple(value)[-3:]
