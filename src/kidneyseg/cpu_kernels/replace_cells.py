"""Which cell takes the place of which, and where tensors change between channels-first and channels-last.

A network that is known to touch tensors only through cells and element-wise operations works channels-last from its
input to its logits. In any other network each swapped cell converts for itself: slower, and safe for whatever the
network does with its tensors in between.
"""

from __future__ import annotations

from collections.abc import Callable

from mindspore import nn

from kidneyseg.cpu_kernels import cells, pooling_cells
from kidneyseg.cpu_kernels.fused_cells import ConvolutionNormActivation, FusedUpConvolution, UpsampledConvolution
from kidneyseg.nets import resnet, unet, unet3plus
from kidneyseg.nets.layers import attention, blocks, norm

SWAPS = {
    nn.Conv2d: cells.Convolution,
    nn.Conv3d: cells.Convolution,
    nn.Conv2dTranspose: cells.TransposedConvolution,
    nn.Conv3dTranspose: cells.TransposedConvolution,
    nn.MaxPool2d: pooling_cells.MaxPool,
    nn.MaxPool3d: pooling_cells.MaxPool,
    nn.AvgPool2d: pooling_cells.AveragePool,
    nn.ReLU: cells.Activation,
    nn.LeakyReLU: cells.Activation,
    nn.PReLU: cells.PReLU,
    norm.BatchNorm: lambda cell: cells.NormActivation(cell, nn.Identity()),
    norm.InstanceNorm: lambda cell: cells.NormActivation(cell, nn.Identity()),
    blocks.Upsample: lambda cell: cells.Upsample("Linear", cell.factor),
    blocks.Repeat3D: lambda cell: cells.Upsample("Nearest", cell.factor),
    blocks.Concat: cells.Concat,
    blocks.SpatialMean: pooling_cells.SpatialMean,
    blocks.Broadcast: pooling_cells.Broadcast,
    attention.Scale: pooling_cells.Scale,
    resnet.PaddedMaxPool: lambda cell: pooling_cells.MaxPool(cell.pool, pad=1),
}
ELEMENTWISE = (nn.Identity, nn.Sigmoid, cells.Activation)
KERNEL_CELLS = (
    cells.NormActivation,
    cells.Activation,
    UpsampledConvolution,
    FusedUpConvolution,
    ConvolutionNormActivation,
)


def is_float32(network: nn.Cell) -> bool:
    """Whether no cell was told to compute in another type by ``Cell.to_float``."""
    return not any(getattr(cell, flag, False) for _, cell in network.cells_and_names() for flag in ("fp16", "bf16"))


def accelerate(network: nn.Cell, bfloat16: bool = False) -> nn.Cell:
    """As ``cpu_kernels.accelerate``, which see."""
    training = network.training
    network = cells.ChannelsLast(keep_layout(network)) if is_open(network) else convert_each(network)
    for _, cell in network.cells_and_names():
        if bfloat16 and hasattr(cell, "use_bfloat16"):
            cell.use_bfloat16()
    return network.set_train(training)


def is_open(cell: nn.Cell) -> bool:
    """Whether tensors can stay channels-last within a cell and all it holds."""
    return keeps_any_layout(cell) and all(is_open(child) or is_leaf(child) for child in cell.cells())


def keeps_any_layout(cell: nn.Cell) -> bool:
    """Whether the ``construct`` of a cell works for tensors of any layout; those of ``nets`` say it themselves."""
    return isinstance(cell, (nn.SequentialCell, nn.CellList)) or getattr(type(cell), "any_layout", False)


def is_leaf(cell: nn.Cell) -> bool:
    """Whether a cell is swapped or left as a whole."""
    return type(cell) in SWAPS or not cell.cells()


def keep_layout(cell: nn.Cell) -> nn.Cell:
    """Makes a cell, with all it holds, take and give channels-last tensors."""
    if keeps_any_layout(cell):
        fuse_activation(cell)
        fuse_upsampling(cell)
        fuse_up_convolution(cell)
        replace_children(cell, keep_layout)
        fuse_norm(cell)
        return cell
    if isinstance(cell, ELEMENTWISE):
        return cell
    return kernel_cell(cell) or cells.ChannelsFirst(cell)


def convert_each(cell: nn.Cell) -> nn.Cell:
    """Makes a cell, with all it holds, faster without a change for who calls it."""
    if is_open(cell) and not isinstance(cell, nn.CellList):  # a list is indexed, not called
        return cells.ChannelsLast(keep_layout(cell))
    if not is_leaf(cell):
        replace_children(cell, convert_each)
        return cell
    if isinstance(cell, (*ELEMENTWISE, blocks.Concat)):  # a concatenation alone is not worth the conversions
        return cell
    swapped = kernel_cell(cell)
    return cell if swapped is None else cells.ChannelsLast(swapped)


def kernel_cell(cell: nn.Cell) -> nn.Cell | None:
    """The cell that takes the place of a leaf; None where the kernels cannot do what it does."""
    if type(cell) not in SWAPS:
        return None
    try:
        return SWAPS[type(cell)](cell)
    except cells.Unsupported:
        return None


def fuse_activation(cell: nn.Cell) -> None:
    """Makes norm and activation of a block one cell, in the norm's place, where the kernels can."""
    fusible = isinstance(cell, (blocks.ConvNormAct, blocks.NormActConv))
    if fusible and isinstance(cell.norm, (norm.BatchNorm, norm.InstanceNorm)):
        try:
            fused = cells.NormActivation(cell.norm, cell.act)
        except cells.Unsupported:
            return
        replace_child(cell, "norm", fused)
        replace_child(cell, "act", nn.Identity())


def fuse_norm(cell: nn.Cell) -> None:
    """Makes convolution, norm and activation of a block, on the kernels already, one cell in the first one's place."""
    if (
        isinstance(cell, blocks.ConvNormAct)
        and isinstance(cell.norm, cells.NormActivation)
        and isinstance(cell.conv, (cells.Convolution, UpsampledConvolution))
    ):
        replace_child(cell, "conv", ConvolutionNormActivation(cell.conv, cell.norm))
        replace_child(cell, "norm", nn.Identity())


def fuse_upsampling(cell: nn.Cell) -> None:
    """Makes the up-sampling of coarser features and the convolution after it one cell, in the convolution's place."""
    if not isinstance(cell, unet3plus.FullScaleNode):
        return
    for source, (rescale, reduce) in enumerate(zip(cell.rescale, cell.reduce)):
        if isinstance(rescale, blocks.Upsample):
            try:
                fused = UpsampledConvolution(rescale, reduce.conv)
            except cells.Unsupported:
                continue
            replace_child(reduce, "conv", fused)
            replace_child(cell.rescale, str(source), nn.Identity())


def fuse_up_convolution(cell: nn.Cell) -> None:
    """Makes a U's up-convolutions, the concatenation of features and the convolutions after it one cell, in the
    convolutions' place: the concatenated features at the full size are the largest tensor of a network."""
    if not isinstance(cell, unet.UNet):
        return
    first = [level[0] if isinstance(level, nn.SequentialCell) else level for level in cell.decoder]
    if not all(isinstance(block, blocks.ConvNormAct) for block in first):
        return
    try:
        convolutions = [FusedUpConvolution(up, block.conv) for up, block in zip(cell.up, first)]
    except cells.Unsupported:
        return
    for level, (block, convolution) in enumerate(zip(first, convolutions)):
        replace_child(cell.up, str(level), nn.Identity())
        replace_child(block, "conv", convolution)
    replace_child(cell, "concat", nn.Identity())


def replace_children(cell: nn.Cell, make: Callable[[nn.Cell], nn.Cell]) -> None:
    for name, child in list(cell.name_cells().items()):
        if not isinstance(child, KERNEL_CELLS):
            replace_child(cell, name, make(child))


def replace_child(cell: nn.Cell, name: str, child: nn.Cell) -> None:
    # Plain assignment would put the attribute's name before the names of the child's parameters once more.
    cell._cells[name] = child
    if isinstance(cell, nn.SequentialCell):
        cell.cell_list = list(cell._cells.values())
