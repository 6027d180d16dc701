"""A 3 x 3 convolution of linearly up-sampled features in ONNX, fused to need factor^2 times fewer multiplications.

Up-sampling and convolution are linear, and up-sampling treats all channels alike. So the features are first multiplied
by the weights, at the low resolution, which gives one tensor for each of the nine taps of the kernel. These tensors are
up-sampled, shifted by the offset of their tap and added: first along x, which leaves three tensors, then along y.
``kidneyseg.cpu_kernels`` does the same in one kernel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kidneyseg.export.mindir_graph import Node, Nodes
from kidneyseg.export.onnx_writer import Writer

FUSED = "UpsampledConv2D"  # operator name of the fused nodes of :func:`fuse_upsampling`
TAPS = 3
AXES = (3, 2)  # x, then y, of (N, C, y, x)


def fuse_upsampling(nodes: Nodes) -> Nodes:
    """Replace every bilinear up-sampling and the convolution after it by one node, ``FUSED``."""
    by_name = {node.name: node for node in nodes.nodes}
    return replace(
        nodes,
        nodes=[
            _fused(node, by_name.get(node.inputs[0])) if node.operator == "Conv2D" else node for node in nodes.nodes
        ],
    )


def _fused(node: Node, before: Node | None) -> Node:
    settings = {key: tuple(node.settings[key][-2:]) for key in ("kernel_size", "stride", "dilation")}
    usual = settings == {"kernel_size": (3, 3), "stride": (1, 1), "dilation": (1, 1)} and node.settings["group"] == 1
    if not usual or before is None or before.operator != "ResizeBilinearV2" or node.shape[2:] != before.shape[2:]:
        return node
    return Node(FUSED, node.name, (before.inputs[0], node.inputs[1], *before.inputs[2:4]), {}, node.shape)


def write_upsampled_convolution(writer: Writer, node: Node) -> None:
    """Write a node of :func:`fuse_upsampling`; its last inputs are the settings of the interpolation."""
    corners, centres = (writer.value(name) for name in node.inputs[2:4])
    if corners or not centres:
        raise ValueError("ResizeBilinearV2 with aligned corners")
    size = writer.source.shapes[node.inputs[0]]
    weights = writer.value(node.inputs[1])  # (out, in, ky, kx)
    by_tap = weights.transpose(3, 2, 0, 1).reshape(-1, weights.shape[1], 1, 1)
    taps = writer.step(
        "Conv", f"{node.name}:products", [writer.tensor(node.inputs[0]), writer.weight(f"{node.name}:weights", by_tap)]
    )
    channels = len(by_tap)
    for axis in AXES:
        name, channels = f"{node.name}:{axis}", channels // TAPS
        factors = np.ones(4, np.float32)
        factors[axis] = node.shape[axis] // size[axis]
        large = writer.step(
            "Resize",
            name,
            [taps, "", writer.weight(f"{name}:factors", factors)],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        first, middle, last = writer.split(large, [channels] * TAPS)
        first, last = _moved(writer, first, axis, node.shape[axis], 1), _moved(writer, last, axis, node.shape[axis], -1)
        taps = writer.step("Add", f"{name}:sum", [writer.step("Add", f"{name}:two", [first, middle]), last])
    writer.names[node.name] = taps


def _moved(writer: Writer, name: str, axis: int, length: int, by: int) -> str:
    """Shift the tensor ``name`` by one voxel forward (``by`` 1) or back (-1) along ``axis`` and fill with 0."""
    begin, end = (0, length - 1) if by > 0 else (1, length)
    limits = [
        writer.weight(f"{name}:{what}", np.array([at], np.int64))
        for what, at in (("begin", begin), ("end", end), ("axis", axis))
    ]
    pads = np.zeros((2, 4), np.int64)
    pads[0 if by > 0 else 1, axis] = 1
    cut = writer.step("Slice", f"{name}:cut", [name, *limits])
    return writer.step("Pad", f"{name}:moved", [cut, writer.weight(f"{name}:pads", pads.ravel())])
