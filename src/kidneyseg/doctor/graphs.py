"""The operators of a stage's compiled graphs: of its network, and of a whole training step.

Graphs are compiled for the CPU, whatever device they are for, with the cells that the device gets and, on the CPU, with
MindSpore's own instead of the project's kernels. They are not run, and take no memory for features. MindSpore's front
end knows no device but in few places, so these are the operators that it would hand to another device, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.train.mind_ir_pb2 import AttributeProto, GraphProto, ModelProto, TensorProto
from mindspore.train.serialization import _executor  # `ms.export` writes the weights, too: up to gigabytes

from kidneyseg import cpu_kernels, losses, nets
from kidneyseg import device as devices
from kidneyseg.export.mindir_graph import PLUMBING, SEQUENCES
from kidneyseg.model_folder.network import Probabilities
from kidneyseg.recipe import Stage
from kidneyseg.training import optimizer
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.step import TrainStep

PHASE = "export.mindir"  # of this phase MindSpore compiles what comes before it chooses kernels
CONTROL = (*PLUMBING, "UpdateState", "Partial", "Switch", "Return", "make_list")  # they compute nothing
NAMES = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}


@dataclass(frozen=True)
class Operator:
    """A kind of operator and the types of what it is given, in the order of its inputs.

    The type of a tuple of tensors is theirs, such as float16 or, of several types, float16/float32. What is no tensor
    has the type "", and at the end is left out.
    """

    name: str
    types: tuple[str, ...]


class _Step(nn.Cell):
    """The compiled part of a training step."""

    def __init__(self, step: TrainStep) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.loss, self.optimizer, self.step = step.network, step.loss, step.optimizer, step.run

    def construct(self, image: ms.Tensor, target: ms.Tensor, *share: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        return self.step(image, target, *share)


def inference_operators(stage: Stage, target: str, precision: str) -> Counter[Operator]:
    """How many of each there are in the network with its softmax, as `predict` runs it on ``target``.

    Raises:
        InputError: the device has not the precision.
    """
    images = ms.Tensor(np.zeros((stage.inference.batch_size, stage.channels, *stage.window), np.float32))
    return count_operators(_compile(Probabilities(_network(stage, target, precision)), images))


def training_operators(stage: Stage, target: str, precision: str) -> Counter[Operator]:
    """The same of a training step: forward, loss, backward and optimiser. Raises as :func:`inference_operators`."""
    spec, window = stage.train, stage.sampling.window
    network = _network(stage, target, precision)
    step = TrainStep(
        network,
        losses.build_loss(stage.loss, {}),
        optimizer.build(spec, network),
        clip_norm=spec.clip_norm,
        precision=precision,
        ranks=Ranks(),
        mixup=spec.augment.mixup > 0,
    )
    image = ms.Tensor(np.zeros((spec.batch_size, stage.channels, *window), np.float32))
    labels = ms.Tensor(np.zeros((spec.batch_size, *window), np.int32))
    share = (ms.Tensor(0.5, ms.float32),) if spec.augment.mixup > 0 else ()
    return count_operators(_compile(_Step(step).set_train(True), image, labels, *share))


def count_operators(model: ModelProto) -> Counter[Operator]:
    """Of a MindIR graph and of all graphs that it calls."""
    graphs = [model.graph, *model.functions]
    kinds = {f"REF::{primitive.name}": primitive.op_type for primitive in model.primitives}
    types = {name: "/".join(dict.fromkeys(found)) for graph in graphs for name, found in _values(graph)}
    return Counter(
        Operator(kinds[node.op_type], _without_end([types.get(name, "") for name in node.input]))
        for graph in graphs
        for node in graph.node
        if kinds.get(node.op_type, CONTROL[0]) not in CONTROL
    )


def _network(stage: Stage, target: str, precision: str) -> nn.Cell:
    """Newly made, without the encoder's weights that the recipe may name."""
    network = nets.build_network(stage.network, stage.classes, stage.channels, pretrained=False)
    if target != "CPU" or precision == "bfloat16" and not cpu_kernels.has_bfloat16():  # which is refused
        return devices.prepare_network(network, precision, target)
    return nets.apply_precision(network, "float32" if precision == "bfloat16" else precision)


def _compile(cell: nn.Cell, *inputs: ms.Tensor) -> ModelProto:
    graph, _ = _executor.compile(cell, *inputs, phase=PHASE, do_convert=False)
    model = ModelProto()
    model.ParseFromString(_executor._get_func_graph_proto(cell, graph, "mind_ir"))
    return model


def _values(graph: GraphProto) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Of every value of a graph its name and its types: one, several where it is a tuple, none where no tensor."""
    for given in graph.input:
        yield given.name, tuple(map(_name, given.tensor))
    for parameter in graph.parameter:
        yield parameter.name, (_name(parameter),)
    for node in graph.node:
        said = [attribute for attribute in node.attribute if attribute.name in ("shape", "value")]
        yield node.output[0], tuple(_name(tensor) for attribute in said for tensor in _tensors(attribute))


def _tensors(attribute: AttributeProto) -> Iterator[TensorProto]:
    yield from attribute.tensors
    if attribute.type in SEQUENCES:
        for value in attribute.values:
            yield from _tensors(value)


def _without_end(types: list[str]) -> tuple[str, ...]:
    while types and not types[-1]:
        types.pop()
    return tuple(types)


def _name(tensor: TensorProto) -> str:
    return NAMES.get(tensor.data_type, TensorProto.DataType.Name(tensor.data_type).lower())
