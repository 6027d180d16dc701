"""Export of a trained stage as ONNX, for ONNX Runtime, OpenVINO, TensorRT and ATC, with a check against the network."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np

import kidneyseg
from kidneyseg.errors import InputError
from kidneyseg.export.graph import ExportOptions, Graph, TensorSpec, input_shape
from kidneyseg.export.mindir import trace
from kidneyseg.export.mindir_graph import needed, read_nodes
from kidneyseg.export.wrappers import probabilities
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.model_folder.network import load_network, stock_network
from kidneyseg.recipe import Stage
from kidneyseg.system.files import atomic

try:
    import onnx
    import onnxruntime
    from onnx import helper

    from kidneyseg.export.onnx_operators import write_node
    from kidneyseg.export.onnx_upsampled_convolution import fuse_upsampling
    from kidneyseg.export.onnx_writer import Writer
except ImportError as error:
    raise InputError(
        "--format onnx", expected="the packages onnx and onnxruntime", found=str(error), remedy="pip install -e .[onnx]"
    ) from None

OPERATOR_SET = 17  # of 2022, which all current runtimes support
FORMAT_VERSION = 8  # format version of operator set 17
INPUT, OUTPUT = "images", "probabilities"
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}  # precision -> allowed difference of probabilities
TRACED, TRIED = 2, (1, 3)  # for a graph of any batch size: batch size of the export, and batch sizes of the check


def export_onnx(stage: Stage, model: Path, path: Path, form: ExportOptions) -> Graph:
    """Write the network of ``stage`` with a softmax as ONNX, atomically.

    Before the file is put in place, ONNX Runtime runs it on noise. Its probabilities must agree with those of the
    network in float32 within ``TOLERANCE``.

    Args:
        stage: the stage.
        model: model folder, see :meth:`kidneyseg.inference.model.Model.load`.
        path: file that ends in ``.onnx``; its folder is created.
        form: export options.

    Raises:
        InputError: the stage's checkpoint is missing, damaged or of another network, the network has an operator
            without an ONNX counterpart, or the probabilities differ in ONNX Runtime.
    """
    checkpoint = checkpoint_path(model, stage.name)
    shape = input_shape(stage, form.batch or TRACED)
    cell = probabilities(stock_network(stage, checkpoint), stage, form)
    proto = to_onnx(cell, shape, any_batch=form.batch is None, dtype=form.dtype)
    with atomic(path) as partial:
        onnx.save(proto, partial)
        network = probabilities(load_network(stage, checkpoint, "CPU"), stage, replace(form, float16=False))
        require_same(
            partial,
            network,
            [noise((n, *shape[1:]), form.dtype) for n in ((form.batch,) if form.batch else TRIED)],
            path,
            TOLERANCE[form.precision],
        )
    return Graph(
        path, "ONNX", _port(proto.graph.input[0]), _port(proto.graph.output[0]), form.precision, count_operators(proto)
    )


def count_operators(proto: onnx.ModelProto) -> dict[str, int]:
    """Count the operators of each kind in an ONNX graph."""
    return dict(sorted(Counter(node.op_type for node in proto.graph.node).items()))


def to_onnx(cell: ms.nn.Cell, shape: tuple[int, ...], *, any_batch: bool, dtype: str = "float32") -> onnx.ModelProto:
    """Convert ``cell`` to an ONNX model, which is validated by ONNX's checker.

    Args:
        cell: the network.
        shape: (N, channels, \\*S) of the images.
        any_batch: allow any N; the other lengths are those of ``shape``.
        dtype: number format of the images.

    Raises:
        InputError: an operator, or a setting of one, that ``onnx_operators.OPERATORS`` does not support.
    """
    with tempfile.TemporaryDirectory() as folder:
        traced = trace(cell, ms.Tensor(np.zeros(shape, dtype)), Path(folder) / "graph.mindir")
    source = fuse_upsampling(read_nodes(traced))
    writer = Writer(source)
    try:
        for node in needed(source):
            write_node(writer, node)
    except ValueError as error:
        raise InputError(
            "export to ONNX",
            expected="a network whose operators all have a counterpart in ONNX",
            found=str(error),
            remedy="Export MindIR, or add it to export/onnx_operators.py",
        ) from None
    return _model(writer, any_batch, dtype)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Make images of noise, always the same: normalised float32, or uint8 with all grey values."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, shape, np.uint8) if dtype == "uint8" else rng.standard_normal(shape, np.float32)


def require_same(
    path: Path, network: Callable[[ms.Tensor], ms.Tensor], batches: Sequence[np.ndarray], name: Path, tolerance: float
) -> None:
    """Raise InputError unless the ONNX file and the network give the same probabilities.

    Args:
        path: the ONNX file.
        network: the network.
        batches: batches of images.
        name: file name for the error message.
        tolerance: allowed difference.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for images in batches:
        (found,) = session.run(None, {INPUT: images})
        apart = float(np.abs(found - network(ms.Tensor(images)).asnumpy()).max())
        if not apart <= tolerance:
            raise InputError(
                name,
                expected=f"the network's probabilities within {tolerance:g}",
                found=f"differences up to {apart:.2g} in ONNX Runtime {onnxruntime.__version__}",
                remedy="Export MindIR, and report the recipe's network; no file was written",
            )


def _model(writer: Writer, any_batch: bool, dtype: str) -> onnx.ModelProto:
    source = writer.source
    short = {name: f"n{number}" for number, name in enumerate(writer.names)}  # MindSpore's names are long
    short |= {source.input: INPUT, writer.tensor(source.output): OUTPUT}
    for node in writer.nodes:
        node.name = short[node.name]
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    ports = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), ["batch" if any_batch else shape[0], *shape[1:]]
        )
        for name, kind, shape in (
            (INPUT, dtype, source.shapes[source.input]),
            (OUTPUT, "float32", source.shapes[source.output]),
        )
    ]
    used = {name for node in writer.nodes for name in node.input}
    weights = [weight for name, weight in writer.weights.items() if name in used]
    graph = helper.make_graph(writer.nodes, "kidneyseg", ports[:1], ports[1:], weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPERATOR_SET)],
        ir_version=FORMAT_VERSION,
        producer_name="kidneyseg",
        producer_version=kidneyseg.__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _port(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    return TensorSpec(
        value.name,
        tuple(None if d.dim_param else d.dim_value for d in kind.shape.dim),
        helper.tensor_dtype_to_np_dtype(kind.elem_type).name,
    )
