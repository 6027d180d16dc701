"""A trained stage as MindIR, the format that MindSpore and MindSpore Lite (Ascend 310, phones, servers) load."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mindspore as ms
from mindspore.train.mind_ir_pb2 import ModelProto, ValueInfoProto

from kidneyseg.atomic import use_default_mode
from kidneyseg.export.graph import Graph, Port, input_shape
from kidneyseg.inference.model import checkpoint_path
from kidneyseg.inference.networks import stock_network
from kidneyseg.inference.runtimes import Probabilities
from kidneyseg.recipe import Stage


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        proto = trace(cell, ms.Tensor(shape=list(input_shape(stage, batch)), dtype=ms.float32), partial)
        use_default_mode(partial)
        os.replace(partial, path)
    return Graph(path, "MindIR", _port(proto.graph.input[0]), _port(proto.graph.output[0]))


def trace(cell: ms.nn.Cell, images: ms.Tensor, path: Path) -> ModelProto:
    """Write ``cell``, called with ``images``, as the MindIR file ``path`` and return what it holds."""
    ms.export(cell, images, file_name=str(path), file_format="MINDIR")
    proto = ModelProto()
    proto.ParseFromString(path.read_bytes())
    return proto


def _port(value: ValueInfoProto) -> Port:
    return Port(value.name, tuple(n if n > 0 else None for n in value.tensor[0].dims))
