"""Export of a trained stage as MindIR, for MindSpore and MindSpore Lite (Ascend 310, phones, servers), or as AIR."""

from __future__ import annotations

import os
from pathlib import Path

import mindspore as ms
from mindspore.train.mind_ir_pb2 import ModelProto, ValueInfoProto

from kidneyseg.export.graph import ExportOptions, Graph, TensorSpec, input_shape
from kidneyseg.export.mindir_graph import count_operators
from kidneyseg.export.wrappers import probabilities
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.model_folder.network import stock_network
from kidneyseg.recipe import Stage
from kidneyseg.system.files import folder_beside, use_default_mode
from kidneyseg.system.plain_path import plain_folder

FORMATS = {".mindir": "MindIR", ".air": "AIR"}


def export_mindir(stage: Stage, model: Path, path: Path, form: ExportOptions) -> Graph:
    """Write the network of ``stage`` with a softmax, atomically.

    The graph has MindSpore's operators only, without this project's CPU kernels and the mixed precision of training.
    MindSpore can write AIR only on an Ascend, where this is not tested, and only with a fixed batch size.

    Args:
        stage: the stage.
        model: model folder, see :meth:`kidneyseg.inference.model.Model.load`.
        path: file that ends in ``.mindir`` or ``.air``; its folder is created.
        form: export options.

    Raises:
        InputError: the stage's checkpoint is missing, damaged or of another network.
    """
    cell = probabilities(stock_network(stage, checkpoint_path(model, stage.name)), stage, form)
    images = ms.Tensor(shape=list(input_shape(stage, form.batch)), dtype=getattr(ms, form.dtype))
    with folder_beside(path) as folder:
        partial = folder / f"graph{path.suffix}"
        proto = trace(cell, images, partial.with_suffix(".mindir"))
        if path.suffix == ".air":
            _export(cell, ms.ops.zeros(images.shape, images.dtype), partial, "AIR")
        use_default_mode(partial)
        os.replace(partial, path)
    return Graph(
        path,
        FORMATS[path.suffix],
        _port(proto.graph.input[0], form.dtype),
        _port(proto.graph.output[0]),
        form.precision,
        count_operators(proto),
    )


def trace(cell: ms.nn.Cell, images: ms.Tensor, path: Path) -> ModelProto:
    """Write ``cell``, called with ``images``, as the MindIR file ``path``, and return the content of the file."""
    _export(cell, images, path, "MINDIR")
    proto = ModelProto()
    proto.ParseFromString(path.read_bytes())
    return proto


def _export(cell: ms.nn.Cell, images: ms.Tensor, path: Path, file_format: str) -> None:
    with plain_folder(path.parent) as folder:
        ms.export(cell, images, file_name=str(folder / path.name), file_format=file_format)


def _port(value: ValueInfoProto, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(value.name, tuple(n if n > 0 else None for n in value.tensor[0].dims), dtype)
