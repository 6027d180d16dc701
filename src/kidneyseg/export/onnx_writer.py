"""Writer of an ONNX graph: collects nodes and weights, and maps MindSpore's names to ONNX names."""

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
        source: the MindSpore graph that is converted.
    """

    def __init__(self, source: Nodes) -> None:
        self.source = source
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.names: dict[str, str | tuple[str, ...]] = {source.input: source.input}

    def emit(self, operator: str, node: Node, inputs: Sequence[str], **settings: Any) -> None:
        """Add an ONNX operator that computes the result of ``node``."""
        self.step(operator, node.name, inputs, **settings)

    def step(self, operator: str, name: str, inputs: Sequence[str], **settings: Any) -> str:
        """Add an ONNX operator; returns ``name``, the name of its result."""
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **settings))
        self.names[name] = name
        return name

    def split(self, name: str, channels: Sequence[int]) -> list[str]:
        """Split the tensor ``name`` along its channels; returns the names of the parts."""
        parts = [f"{name}:part {number}" for number in range(len(channels))]
        self.names |= {part: part for part in parts} | {f"{name}:parts": f"{name}:parts"}
        sizes = self.weight(f"{name}:sizes", np.array(channels, np.int64))
        self.nodes.append(helper.make_node("Split", [name, sizes], parts, name=f"{name}:parts", axis=1))
        return parts

    def pass_on(self, node: Node, source: str) -> None:
        """Use the tensor ``source`` as the result of ``node``."""
        self.names[node.name] = self.names[source] if source in self.names else self.tensor(source)

    def tensor(self, name: str) -> str:
        """Return the ONNX tensor of the MindSpore result ``name``. Raises ValueError if that is a tuple."""
        if name not in self.names:
            return self.weight(name, self.value(name))
        held = self.names[name]
        if isinstance(held, tuple):
            raise ValueError(f"{name}, which must be one tensor, is {len(held)}")
        return held

    def members(self, name: str) -> tuple[str, ...]:
        """Return the ONNX tensors of the MindSpore tuple ``name``. Raises ValueError if it is none."""
        held = self.names[name]
        if not isinstance(held, tuple):
            raise ValueError(f"{name}, which must be a tuple, is one tensor")
        return held

    def value(self, name: str) -> Any:
        """Return the value of a constant or parameter. Raises ValueError if ``name`` is computed."""
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
        """Append ``axes`` axes of length 1 to the vector ``name``, so that it can be combined with (N, C, *S)."""
        values = self.value(name)
        return self.weight(f"{self.tensor(name)}:{axes}", values.reshape(-1, *[1] * axes))

    def whole(self, node: Node, values: Sequence[int]) -> str:
        """Store integers that ONNX needs as a tensor; returns the name."""
        return self.weight(f"{node.name}:numbers", np.array(values, np.int64))
