"""Quantisation of a stage's ONNX graph: convolutions in int8, calibrated with scans.

Uses ONNX Runtime's static quantisation (QDQ), which OpenVINO also computes in integers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.system.files import atomic

try:
    import onnx
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quant_pre_process, quantize_static
except ImportError as error:
    raise InputError(
        "int8", expected="the packages onnx and onnxruntime", found=str(error), remedy="pip install -e .[onnx]"
    ) from None

QUANTISED = ["Conv", "ConvTranspose"]  # nearly all of the time; normalisations, sums and softmax stay float32


def quantise_onnx(graph: Path, images: np.ndarray, path: Path) -> float:
    """Write ``graph`` in int8 to ``path``, atomically.

    Weights are rounded to 7 bits, per channel, because products of 8 bits would overflow on CPUs without VNNI. The last
    convolution, which computes the logits, stays float32.

    Args:
        graph: file of ``kidneyseg export --format onnx``, with float32 input.
        images: (n, channels, \\*S), see :func:`calibration_images`; activations outside their ranges will be clipped.
        path: file to write; may be ``graph``.

    Returns:
        The fraction of voxels of ``images`` whose most probable class changes.

    Raises:
        InputError: the input of the graph is not float32.
    """
    source = onnx.load(graph)
    port = source.graph.input[0]
    if port.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise InputError(
            graph,
            expected="a graph with float32 input",
            found="one with another input",
            remedy="Export int8 without --uint8 and --float16",
        )
    size = port.type.tensor_type.shape.dim[0].dim_value or 1
    batches = CalibrationBatches(port.name, images, size)
    with atomic(path) as partial, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)  # fuses normalisations into convolutions
        convolutions = [node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
        quantize_static(
            prepared,
            partial,
            batches,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=convolutions[-1:],
        )
        return _changed(prepared, partial, CalibrationBatches(port.name, images, size))


class CalibrationBatches(CalibrationDataReader):
    """``images`` in batches of ``size`` for ONNX Runtime; the last batch is filled up with the first images."""

    def __init__(self, name: str, images: np.ndarray, size: int) -> None:
        count = -(-len(images) // size) * size
        self._batches: Iterator[np.ndarray] = iter(
            np.resize(images, (count, *images.shape[1:])).reshape(-1, size, *images.shape[1:])
        )
        self._name = name

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _changed(graph: Path, other: Path, batches: CalibrationBatches) -> float:
    sessions = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in (graph, other)]
    shares = []
    while batch := batches.get_next():
        one, two = (session.run(None, batch)[0].argmax(1) for session in sessions)
        shares.append(float(np.mean(one != two)))
    return float(np.mean(shares))
