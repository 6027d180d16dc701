"""Conversion of MindSpore's operators to ONNX: one short function for each operator of the networks.

MindSpore's own ONNX export (2.10) supports neither group normalisation nor linear and nearest up-sampling, and its
transposed 2-D convolutions and PReLU cannot be loaded. So graphs are read from MindIR, which has all of them, and
written here. The ONNX operators are defined in https://onnx.ai/onnx/operators, operator set 17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from kidneyseg.export.mindir_graph import Node
from kidneyseg.export.onnx_upsampled_convolution import FUSED, write_upsampled_convolution
from kidneyseg.export.onnx_writer import Writer


def write_node(writer: Writer, node: Node) -> None:
    """Add the ONNX counterpart of ``node`` to ``writer``. Raises ValueError if there is none."""
    if node.operator not in OPERATORS:
        raise ValueError(f"operator {node.operator}")
    OPERATORS[node.operator](writer, node)


def _spatial(node: Node) -> int:
    return len(node.shape) - 2


def _require(holds: bool, node: Node, what: str) -> None:
    if not holds:
        raise ValueError(f"{node.operator} with {what}")


def _alias(writer: Writer, node: Node) -> None:
    origin = node.inputs[0]
    if origin in writer.source.parameters:
        writer.weight(origin, writer.source.parameters[origin])
        writer.names[node.name] = origin
    else:
        writer.pass_on(node, origin)


def _get_item(writer: Writer, node: Node) -> None:
    """Select a result of an operator with several results, such as a normalisation; only the first is supported."""
    _require(writer.value(node.inputs[1]) == 0, node, "another index than 0")
    writer.pass_on(node, node.inputs[0])


def _make_tuple(writer: Writer, node: Node) -> None:
    writer.names[node.name] = tuple(writer.tensor(name) for name in node.inputs)


def _same(operator: str) -> Callable[[Writer, Node], None]:
    def write(writer: Writer, node: Node) -> None:
        writer.emit(operator, node, [writer.tensor(name) for name in node.inputs])

    return write


def _pads(settings: dict[str, Any]) -> list[int]:
    """Reorder MindSpore's (low, high, low, high, ...) to ONNX's (low, low, ..., high, high, ...)."""
    pads = settings["pad_list"]
    return [*pads[::2], *pads[1::2]]


def _convolution(operator: str) -> Callable[[Writer, Node], None]:
    def write(writer: Writer, node: Node) -> None:
        axes, settings = _spatial(node), node.settings
        extra = {"output_padding": settings["output_padding"][-axes:]} if "output_padding" in settings else {}
        writer.emit(
            operator,
            node,
            [writer.tensor(name) for name in node.inputs[:2]],
            pads=_pads(settings),
            strides=settings["stride"][-axes:],
            dilations=settings["dilation"][-axes:],
            group=settings["group"],
            **extra,
        )

    return write


def _cast(writer: Writer, node: Node) -> None:
    kind = writer.value(node.inputs[1])
    _require(kind in KINDS, node, f"type number {kind}")
    writer.emit("Cast", node, [writer.tensor(node.inputs[0])], to=KINDS[kind])


def _round(writer: Writer, node: Node) -> None:
    _require(writer.value(node.inputs[1]) == 0, node, "decimals")
    writer.emit("Round", node, [writer.tensor(node.inputs[0])])


def _square(writer: Writer, node: Node) -> None:
    writer.emit("Mul", node, [writer.tensor(node.inputs[0])] * 2)


def _bias(writer: Writer, node: Node) -> None:
    writer.emit("Add", node, [writer.tensor(node.inputs[0]), writer.channels(node.inputs[1], _spatial(node))])


def _prelu(writer: Writer, node: Node) -> None:
    writer.emit("PRelu", node, [writer.tensor(node.inputs[0]), writer.channels(node.inputs[1], _spatial(node))])


def _batch_norm(writer: Writer, node: Node) -> None:
    training, epsilon = (writer.value(name) for name in node.inputs[5:7])
    _require(not training, node, "statistics of the batch")
    writer.emit("BatchNormalization", node, [writer.tensor(name) for name in node.inputs[:5]], epsilon=epsilon)


def _group_norm(writer: Writer, node: Node) -> None:
    image, groups, scale, shift, epsilon = node.inputs
    _require(writer.value(groups) == node.shape[1], node, "several channels in a group")
    writer.emit(
        "InstanceNormalization",
        node,
        [writer.tensor(name) for name in (image, scale, shift)],
        epsilon=writer.value(epsilon),
    )


def _max_pool(writer: Writer, node: Node) -> None:
    axes, settings = _spatial(node), node.settings
    _require(settings["pad_mode"].upper() == "VALID" and not settings.get("ceil_mode"), node, "padding by its mode")
    writer.emit(
        "MaxPool",
        node,
        [writer.tensor(node.inputs[0])],
        kernel_shape=settings["kernel_size"][-axes:],
        strides=settings["strides"][-axes:],
    )


def _pad(writer: Writer, node: Node) -> None:
    lows, highs = zip(*node.settings["paddings"])
    writer.emit("Pad", node, [writer.tensor(node.inputs[0]), writer.whole(node, [*lows, *highs])])


def _mean_pool(writer: Writer, node: Node) -> None:
    kernel, strides, mode = (writer.value(name) for name in node.inputs[1:4])
    _require(mode == VALID, node, f"pad mode {mode}")
    writer.emit("AveragePool", node, [writer.tensor(node.inputs[0])], kernel_shape=kernel[-2:], strides=strides[-2:])


def _reshape(writer: Writer, node: Node) -> None:
    _require(node.shape[0] == writer.source.shapes[node.inputs[0]][0], node, "another batch size")
    target = writer.whole(node, [0, *node.shape[1:]])  # 0 keeps the length, for any batch size
    writer.emit("Reshape", node, [writer.tensor(node.inputs[0]), target])


def _tile(writer: Writer, node: Node) -> None:
    times = writer.value(node.inputs[1])
    _require(len(times) == len(node.shape) and times[0] == 1, node, f"{times} repetitions")
    writer.emit("Tile", node, [writer.tensor(node.inputs[0]), writer.whole(node, times)])


def _mean(writer: Writer, node: Node) -> None:
    axes, keep = (writer.value(name) for name in node.inputs[1:3])
    writer.emit(
        "ReduceMean", node, [writer.tensor(node.inputs[0])], axes=np.atleast_1d(axes).tolist(), keepdims=int(keep)
    )


def _concat(writer: Writer, node: Node) -> None:
    writer.emit("Concat", node, writer.members(node.inputs[0]), axis=writer.value(node.inputs[1]))


def _softmax(writer: Writer, node: Node) -> None:
    (axis,) = np.atleast_1d(writer.value(node.inputs[1])).tolist()
    writer.emit("Softmax", node, [writer.tensor(node.inputs[0])], axis=axis)


def _bilinear(writer: Writer, node: Node) -> None:
    corners, centres = (writer.value(name) for name in node.inputs[2:4])
    _require(not corners and centres, node, "aligned corners")
    _resize(writer, node, mode="linear", coordinate_transformation_mode="half_pixel")


def _trilinear(writer: Writer, node: Node) -> None:
    _require(not writer.value(node.inputs[3]), node, "aligned corners")
    _resize(writer, node, mode="linear", coordinate_transformation_mode="half_pixel")


def _nearest(writer: Writer, node: Node) -> None:
    _resize(writer, node, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _resize(writer: Writer, node: Node, **settings: str) -> None:
    """Resize by factors instead of to a size, because a size would fix the batch size."""
    before, after = writer.source.shapes[node.inputs[0]], node.shape
    _require(all(b % a == 0 for a, b in zip(before, after)), node, f"lengths {before[2:]} -> {after[2:]}")
    factors = np.array([b // a for a, b in zip(before, after)], np.float32)
    writer.emit(
        "Resize", node, [writer.tensor(node.inputs[0]), "", writer.weight(f"{node.name}:factors", factors)], **settings
    )


VALID = 2  # MindSpore's number for the pad mode without padding
KINDS = {42: onnx.TensorProto.FLOAT16, 43: onnx.TensorProto.FLOAT}  # keys: MindSpore's numbers for types
OPERATORS: dict[str, Callable[[Writer, Node], None]] = {
    "Add": _same("Add"),
    "AvgPool": _mean_pool,
    "BatchNorm": _batch_norm,
    "BiasAdd": _bias,
    "Cast": _cast,
    "Concat": _concat,
    "Conv2D": _convolution("Conv"),
    "Conv2DTranspose": _convolution("ConvTranspose"),
    "Conv3D": _convolution("Conv"),
    "Conv3DTranspose": _convolution("ConvTranspose"),
    "Depend": _alias,
    "Div": _same("Div"),
    "GroupNorm": _group_norm,
    "Load": _alias,
    "MakeTuple": _make_tuple,
    "MaxPool": _max_pool,
    "MaxPool3D": _max_pool,
    "Maximum": _same("Max"),
    "Mul": _same("Mul"),
    "PReLU": _prelu,
    "Pad": _pad,
    "ReLU": _same("Relu"),
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "ResizeBilinearV2": _bilinear,
    "Round": _round,
    "Sigmoid": _same("Sigmoid"),
    "Softmax": _softmax,
    "Sqrt": _same("Sqrt"),
    "Square": _square,
    "Sub": _same("Sub"),
    "Tile": _tile,
    "TupleGetItem": _get_item,
    "UpsampleNearest3D": _nearest,
    "UpsampleTrilinear3D": _trilinear,
    FUSED: write_upsampled_convolution,
}
