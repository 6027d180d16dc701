"""A trained stage as MindIR, the format that MindSpore and MindSpore Lite (Ascend 310, phones, servers) load."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
from mindspore.train.mind_ir_pb2 import ModelProto, ValueInfoProto

from kidneyseg.atomic import use_default_mode
from kidneyseg.inference.model import checkpoint_path
from kidneyseg.inference.networks import stock_network
from kidneyseg.inference.runtimes import Probabilities
from kidneyseg.recipe import Stage

Shape = tuple["int | None", ...]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name in the file, and its shape with None where any length goes."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """An exported graph: float32 in, float32 out."""

    path: Path
    input: Port
    output: Port


def input_shape(stage: Stage, batch: int | None) -> Shape:
    """(N, channels, *S): what the stage's network takes; ``batch`` None leaves N open."""
    return (batch, stage.channels, *stage.sampling.window)


def export_mindir(stage: Stage, model: Path, path: Path, batch: int | None) -> Graph:
    """Write the network of ``stage`` with its softmax as MindIR; the file appears complete or not at all.

    The graph is of MindSpore's own operators in float32: neither the CPU kernels nor a mixed precision are in it.

    Args:
        model: model folder, see :meth:`kidneyseg.inference.model.Model.load`.
        path: ends in ``.mindir``; its folder is made.
        batch: images per call, None for any number.

    Raises:
        InputError: the stage's checkpoint is missing, damaged or of another network.
    """
    cell = Probabilities(stock_network(stage, checkpoint_path(model, stage.name)))
    images = ms.Tensor(shape=list(input_shape(stage, batch)), dtype=ms.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        ms.export(cell, images, file_name=str(partial), file_format="MINDIR")
        proto = ModelProto()
        proto.ParseFromString(partial.read_bytes())
        use_default_mode(partial)
        os.replace(partial, path)
    return Graph(path, _port(proto.graph.input[0]), _port(proto.graph.output[0]))


def _port(value: ValueInfoProto) -> Port:
    return Port(value.name, tuple(n if n > 0 else None for n in value.tensor[0].dims))
