"""The ONNX graph at work: its nodes and weights, and the names of what MindSpore calls otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from kidneyseg.export.mindir_graph import Node, Nodes


class Writer:
    """Collects the ONNX nodes and weights of a graph.

    Args:
        source: the graph that is read.
    """

    def __init__(self, source: Nodes) -> None:
        self.source = source
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.names: dict[str, str | tuple[str, ...]] = {source.input: source.input}

    def emit(self, operator: str, node: Node, inputs: Sequence[str], **settings: Any) -> None:
        """One ONNX operator, whose result is that of ``node``."""
        self.step(operator, node.name, inputs, **settings)

    def step(self, operator: str, name: str, inputs: Sequence[str], **settings: Any) -> str:
        """One ONNX operator; returns ``name``, its result's."""
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **settings))
        self.names[name] = name
        return name

    def split(self, name: str, channels: Sequence[int]) -> list[str]:
        """Cut the tensor ``name`` along its channels; returns the names of the parts."""
        parts = [f"{name}:part {number}" for number in range(len(channels))]
        self.names |= {part: part for part in parts} | {f"{name}:parts": f"{name}:parts"}
        sizes = self.weight(f"{name}:sizes", np.array(channels, np.int64))
        self.nodes.append(helper.make_node("Split", [name, sizes], parts, name=f"{name}:parts", axis=1))
        return parts

    def pass_on(self, node: Node, source: str) -> None:
        """The result of ``node`` is that of ``source``."""
        self.names[node.name] = self.names[source] if source in self.names else self.tensor(source)

    def tensor(self, name: str) -> str:
        """What holds ``name`` in the ONNX graph. Raises ValueError where it is a tuple."""
        if name not in self.names:
            return self.weight(name, self.value(name))
        held = self.names[name]
        if isinstance(held, tuple):
            raise ValueError(f"{name}, which must be one tensor, is {len(held)}")
        return held

    def members(self, name: str) -> tuple[str, ...]:
        """What holds the members of the tuple ``name``. Raises ValueError where it is none."""
        held = self.names[name]
        if not isinstance(held, tuple):
            raise ValueError(f"{name}, which must be a tuple, is one tensor")
        return held

    def value(self, name: str) -> Any:
        """A constant or parameter. Raises ValueError where ``name`` is computed."""
        origin = self.names.get(name, name)
        for known in (self.source.constants, self.source.parameters):
            if isinstance(origin, str) and origin in known:
                return known[origin]
        raise ValueError(f"{name}, which must be a constant, is computed")

    def weight(self, name: str, values: np.ndarray) -> str:
        """Store a constant tensor as ``name``; returns the name."""
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def channels(self, name: str, axes: int) -> str:
        """The vector ``name`` with ``axes`` axes of length 1 behind it, to meet (N, C, *S)."""
        values = self.value(name)
        return self.weight(f"{self.tensor(name)}:{axes}", values.reshape(-1, *[1] * axes))

    def whole(self, node: Node, values: Sequence[int]) -> str:
        """Whole numbers that ONNX takes as a tensor."""
        return self.weight(f"{node.name}:numbers", np.array(values, np.int64))
