"""A trained stage as ONNX, which ONNX Runtime, OpenVINO, TensorRT and ATC load; compared with the network at once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import mindspore as ms
import numpy as np

import kidneyseg
from kidneyseg.atomic import atomic
from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, Port, Shape, input_shape
from kidneyseg.export.mindir import trace
from kidneyseg.export.mindir_nodes import needed, read_nodes
from kidneyseg.inference.model import checkpoint_path
from kidneyseg.inference.networks import load_network, stock_network
from kidneyseg.inference.runtimes import Probabilities
from kidneyseg.recipe import Stage

try:
    import onnx
    import onnxruntime
    from onnx import helper

    from kidneyseg.export.onnx_operators import Writer
except ImportError as error:
    raise InputError("--format onnx", expected="the packages onnx and onnxruntime", found=str(error),
                     remedy="pip install -e .[onnx]") from None

OPERATOR_SET = 17  # 2022: what it has is in every runtime of today
FORMAT_VERSION = 8  # that belongs to it
INPUT, OUTPUT = "images", "probabilities"
TOLERANCE = 1e-4  # of probabilities
TRACED, TRIED = 2, (1, 3)  # batch sizes that a graph for any batch is made from, and is tried with


def export_onnx(stage: Stage, model: Path, path: Path, batch: int | None) -> Graph:
    """Write the network of ``stage`` with its softmax as ONNX, float32; the file appears complete or not at all.

    Before it does, ONNX Runtime runs it on noise, and its probabilities must be the network's up to ``TOLERANCE``.

    Args:
        model: model folder, see :meth:`kidneyseg.inference.model.Model.load`.
        path: ends in ``.onnx``; its folder is made.
        batch: images per call, None for any number.

    Raises:
        InputError: the stage's checkpoint is missing, damaged or of another network, the network does something that
            cannot be said in ONNX, or ONNX Runtime computes something else.
    """
    checkpoint = checkpoint_path(model, stage.name)
    shape = input_shape(stage, batch or TRACED)
    proto = to_onnx(Probabilities(stock_network(stage, checkpoint)), shape, any_batch=batch is None)
    with atomic(path) as partial:
        onnx.save(proto, partial)
        network = Probabilities(load_network(stage, checkpoint, "CPU"))
        require_same(partial, network, [(n, *shape[1:]) for n in ((batch,) if batch else TRIED)], path)
    return Graph(path, "ONNX", _port(proto.graph.input[0]), _port(proto.graph.output[0]))


def to_onnx(cell: ms.nn.Cell, shape: Shape, *, any_batch: bool) -> onnx.ModelProto:
    """``cell`` as an ONNX model, checked by ONNX's own rules.

    Args:
        shape: (N, channels, \\*S) of the images it takes.
        any_batch: leave N open; only the other lengths are then those of ``shape``.

    Raises:
        InputError: an operator, or a setting of one, that is not among ``onnx_operators.OPERATORS``.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = read_nodes(trace(cell, ms.Tensor(np.zeros(shape, np.float32)), Path(folder) / "graph.mindir"))
    writer = Writer(source)
    try:
        for node in needed(source):
            writer.write(node)
    except ValueError as error:
        raise InputError("export to ONNX", expected="a network of operators that have a counterpart in ONNX",
                         found=str(error), remedy="Export MindIR, or add it to export/onnx_operators.py") from None
    return _model(writer, any_batch)


def require_same(path: Path, network: Callable[[ms.Tensor], ms.Tensor], shapes: Sequence[Shape], name: Path) -> None:
    """Raise InputError, about ``name``, unless the ONNX file ``path`` says what ``network`` says, of noise."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in shapes:
        images = np.random.default_rng(0).standard_normal(shape, np.float32)
        found, = session.run(None, {INPUT: images})
        apart = float(np.abs(found - network(ms.Tensor(images)).asnumpy()).max())
        if not apart <= TOLERANCE:
            raise InputError(name, expected=f"the network's probabilities up to {TOLERANCE:g}",
                             found=f"up to {apart:.2g} apart in ONNX Runtime {onnxruntime.__version__}",
                             remedy="Export MindIR, and report the recipe's network; no file was written")


def _model(writer: Writer, any_batch: bool) -> onnx.ModelProto:
    source = writer.source
    short = {name: f"n{number}" for number, name in enumerate(writer.names)}  # MindSpore's names are long
    short |= {source.input: INPUT, writer.names[source.output]: OUTPUT}
    for node in writer.nodes:
        node.name = short[node.name]
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT,
                                           ["batch" if any_batch else shape[0], *shape[1:]])
             for name, shape in ((INPUT, source.shapes[source.input]), (OUTPUT, source.shapes[source.output]))]
    used = {name for node in writer.nodes for name in node.input}
    weights = [weight for name, weight in writer.weights.items() if name in used]
    graph = helper.make_graph(writer.nodes, "kidneyseg", ports[:1], ports[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATOR_SET)],
                              ir_version=FORMAT_VERSION, producer_name="kidneyseg",
                              producer_version=kidneyseg.__version__)
    onnx.checker.check_model(model, full_check=True)
    return model


def _port(value: onnx.ValueInfoProto) -> Port:
    return Port(value.name, tuple(None if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim))
