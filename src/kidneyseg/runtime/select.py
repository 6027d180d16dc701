"""Selection of the runtime for the networks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.recipe import Stage
from kidneyseg.runtime.base import Runtime


def load_runtimes(
    stages: Sequence[Stage], folder: Path, device: str = "auto", name: str = "auto", precision: str = "auto"
) -> dict[str, Runtime]:
    """Load the runtime of each stage of the model in ``folder``.

    Args:
        stages: the stages.
        folder: model folder.
        device: auto, CPU, GPU or Ascend.
        name: one of ``BACKENDS``, or auto: on a CPU OpenVINO if it is installed, except for networks of width ``WIDE``
            or more in float32 if this project's CPU kernels can be compiled; otherwise MindSpore.
        precision: number format of the networks, or auto: float32 on a CPU, elsewhere that of the training.

    Returns:
        Stage name -> runtime.

    Raises:
        InputError: no such device, a backend that is not installed or does not support the device or the precision, a
            bad checkpoint.
    """
    usual = _choose(device, ("openvino", "onnx", "onnxruntime")) if name == "auto" else name
    may_differ = name == "auto" and usual == "openvino" and precision in ("auto", "float32")

    def backend(stage: Stage) -> str:
        return "mindspore" if may_differ and stage.network.width >= WIDE and _has_kernels() else usual

    return {stage.name: BACKENDS[backend(stage)](stage, folder, device, precision) for stage in stages}


def graph_formats(device: str = "auto", name: str = "auto") -> tuple[str, ...]:
    """List the graph formats that a backend reads, the preferred first; arguments as for :func:`load_runtimes`."""
    if name == "auto":
        return ("ONNX", "MindIR") if _choose(device, ("openvino",)) == "openvino" else ("MindIR", "ONNX")
    return {"openvino": ("ONNX",), "mindspore": ("MindIR",)}[name]


def load_graph(graph: Graph, batch_size: int, device: str = "auto", precision: str = "auto") -> Runtime:
    """Load the runtime of an exported graph: OpenVINO for ONNX, MindSpore for MindIR.

    Args:
        graph: the graph.
        batch_size: images per call; must be that of the graph if it is fixed.
        device: auto, CPU, GPU or Ascend.
        precision: number format for OpenVINO, or auto: float32. MindIR runs in the precision of the graph.

    Raises:
        InputError: as for :func:`load_runtimes`.
    """
    return GRAPHS[graph.format](graph, batch_size, device, precision)


def load_mindspore(stage: Stage, folder: Path, device: str, precision: str) -> Runtime:
    """Load a stage in MindSpore, on a CPU with the project's kernels."""
    from kidneyseg import device as devices  # MindSpore takes seconds to import
    from kidneyseg.model_folder.network import Probabilities, load_network
    from kidneyseg.runtime.mindspore_runtime import MindSporeRuntime

    network = load_network(stage, checkpoint_path(folder, stage.name), devices.use(device), precision)
    return MindSporeRuntime(Probabilities(network), stage.inference.batch_size)


def mindspore_graph(graph: Graph, batch_size: int, device: str, precision: str) -> Runtime:
    """Load a MindIR graph in MindSpore, with MindSpore's kernels."""
    import mindspore as ms

    from kidneyseg import device as devices
    from kidneyseg.runtime.mindspore_runtime import MindSporeRuntime

    if precision not in ("auto", graph.precision):
        raise InputError(
            graph.path,
            expected=f"precision {precision}",
            found=graph.precision,
            remedy="Export again with or without --float16",
        )
    devices.use(device)
    return MindSporeRuntime(ms.nn.GraphCell(ms.load(str(graph.path))), batch_size, graph.input.dtype)


def load_openvino(stage: Stage, folder: Path, device: str, precision: str) -> Runtime:
    """Load a stage in OpenVINO from its ONNX file, which is exported the first time."""
    from kidneyseg.runtime.onnx_cache import cached_onnx  # may import MindSpore

    _require_cpu(device)
    return _openvino(cached_onnx(stage, folder), stage.inference.batch_size, precision)


def openvino_graph(graph: Graph, batch_size: int, device: str, precision: str) -> Runtime:
    """Load an ONNX graph in OpenVINO."""
    _require_cpu(device)
    return _openvino(graph.path, batch_size, precision)


def _require_cpu(device: str) -> None:
    if device not in ("auto", "CPU"):
        raise InputError(
            "--runtime openvino", expected="--device CPU", found=f"--device {device}", remedy="Use --runtime mindspore"
        )


def _openvino(path: Path, batch_size: int, precision: str) -> Runtime:
    from kidneyseg.runtime.openvino_runtime import OpenVINORuntime

    return OpenVINORuntime(path, batch_size, "float32" if precision == "auto" else precision)


BACKENDS = {"mindspore": load_mindspore, "openvino": load_openvino}
GRAPHS = {"ONNX": openvino_graph, "MindIR": mindspore_graph}
# From this width the project's kernels save more time than MindSpore needs to start (seconds; OpenVINO starts at once).
WIDE = 32
DRIVERS = ("davinci*", "nvidia*", "dxg")  # files in /dev of Ascend, NVIDIA, and NVIDIA under Windows


def _choose(device: str, packages: Sequence[str]) -> str:
    """Choose the runtime for auto; OpenVINO needs ``packages``."""
    if not all(map(find_spec, packages)):
        return "mindspore"
    return "openvino" if (_auto_device() if device == "auto" else device) == "CPU" else "mindspore"


def _has_kernels() -> bool:
    """Tell whether the project's CPU kernels can be compiled."""
    if not find_spec("mindspore"):
        return False
    from kidneyseg.cpu_kernels.build import BuildError, compile_kernels

    try:
        compile_kernels()
    except BuildError:  # no warning, because OpenVINO is used instead
        return False
    return True


def _auto_device() -> str:
    """Return the device for auto; MindSpore is imported only if the driver of an accelerator is loaded."""
    if not find_spec("mindspore") or not any(next(Path("/dev").glob(name), None) for name in DRIVERS):
        return "CPU"
    from kidneyseg import device as devices

    return devices.use()
