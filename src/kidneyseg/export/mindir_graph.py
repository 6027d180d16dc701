"""The content of a MindIR file as plain data: operators in order, constants and parameters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, TensorProto

Kind = AttributeProto.AttributeType
ORDERED = ("Load", "Depend")  # their second input only sets the order of execution
PLUMBING = (*ORDERED, "MakeTuple", "TupleGetItem")  # they compute nothing
SEQUENCES = (Kind.TUPLE, Kind.LIST)
FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}
WHOLE_NUMBERS = (Kind.INT64, Kind.INT32, Kind.BOOL)


@dataclass(frozen=True)
class Node:
    """One operator of a graph.

    Attributes:
        operator: MindSpore's name of the primitive, such as "Conv3D".
        name: name of its result.
        inputs: names of results, constants, parameters or of the graph's input.
        settings: MindSpore's attributes of the primitive.
        shape: shape of its (first) result.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    settings: dict[str, Any]
    shape: tuple[int, ...]


@dataclass
class Nodes:
    """A graph with one input and one output, its batch size fixed.

    Attributes:
        input, output: names.
        shapes: of every result and of the input, by name.
        constants: numbers, text, None, tuples and arrays, by name.
        parameters: float32 or float16 arrays, by name.
    """

    input: str
    output: str
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)


def read_nodes(proto: ModelProto) -> Nodes:
    """Read the nodes of a MindIR graph. Raises ValueError for sub-graphs and for value types that are not supported."""
    if proto.functions:
        raise ValueError(f"a graph with {len(proto.functions)} sub-graphs, for example of branches or loops")
    graph = proto.graph
    settings = {
        f"REF::{primitive.name}": (primitive.op_type, {a.name: _value(a) for a in primitive.attribute})
        for primitive in proto.primitives
    }
    read = Nodes(graph.input[0].name, graph.output[0].name)
    read.shapes[read.input] = tuple(graph.input[0].tensor[0].dims)
    read.parameters = {parameter.name: _array(parameter) for parameter in graph.parameter}
    for node in graph.node:
        name = node.output[0]
        if node.op_type == "Constant":
            read.constants[name] = _value(node.attribute[0])
            continue
        operator, own = settings[node.op_type]
        shape = _shape(node.attribute)
        read.shapes[name] = shape
        read.nodes.append(Node(operator, name, tuple(node.input), own, shape))
    return read


def needed(read: Nodes) -> list[Node]:
    """List the nodes from which the output is computed, in order, without those that only order side effects."""
    wanted, kept = {read.output}, []
    for node in reversed(read.nodes):
        if node.name in wanted:
            wanted.update(node.inputs[:1] if node.operator in ORDERED else node.inputs)
            kept.append(node)
    return kept[::-1]


def count_operators(proto: ModelProto) -> dict[str, int]:
    """Count the operators of each kind that a MindIR graph needs for its output. Raises as :func:`read_nodes`."""
    found = Counter(node.operator for node in needed(read_nodes(proto)) if node.operator not in PLUMBING)
    return dict(sorted(found.items()))


def _shape(attributes: list[AttributeProto]) -> tuple[int, ...]:
    """Return the shape of an operator's result, for several results that of the first."""
    for attribute in attributes:
        if attribute.name == "shape":
            while attribute.type in SEQUENCES and attribute.values:
                attribute = attribute.values[0]
            if attribute.tensors:
                return tuple(attribute.tensors[0].dims)
    return ()


def _value(attribute: AttributeProto) -> Any:
    kind = attribute.type
    if kind in SEQUENCES:
        return tuple(_value(item) for item in attribute.values)
    if kind in WHOLE_NUMBERS:  # the value of an item in a tuple is in the list of values
        return attribute.ints[0] if attribute.ints else attribute.i
    if kind == Kind.FLOAT:
        return attribute.floats[0] if attribute.floats else attribute.f
    if kind == Kind.STRING:
        text = attribute.strings[0] if attribute.strings else attribute.s
        return text.decode() if isinstance(text, bytes) else text
    if kind in (Kind.UMONAD, Kind.IOMONAD, Kind.NONE):
        return None
    if kind == Kind.TENSORS:
        return _array(attribute.tensors[0])
    raise ValueError(f"an attribute {attribute.name!r} of type {Kind.Name(kind)}")


def _array(tensor: TensorProto) -> np.ndarray:
    if tensor.data_type not in FLOATS:
        raise ValueError(f"a tensor of type {TensorProto.DataType.Name(tensor.data_type)}, not of floats")
    return np.frombuffer(tensor.raw_data, FLOATS[tensor.data_type]).reshape(tuple(tensor.dims))
