"""What can run the networks of a model, by name."""

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
    """What runs each stage of the model in ``folder``, by the stage's name.

    Args:
        device: auto, CPU, GPU or Ascend.
        name: one of ``BACKENDS``, or auto: OpenVINO on a CPU if it is installed, else MindSpore; in float32 MindSpore,
            too, for networks of width ``WIDE`` or more, where its kernels are to be had.
        precision: what the networks compute in, or auto: float32 on a CPU, elsewhere what they were trained in.

    Raises:
        InputError: no such device, a backend that is not installed or not for it, a precision it has not, a bad
            checkpoint.
    """
    usual = _choose(device, ("openvino", "onnx", "onnxruntime")) if name == "auto" else name
    may_differ = name == "auto" and usual == "openvino" and precision in ("auto", "float32")

    def backend(stage: Stage) -> str:
        return "mindspore" if may_differ and stage.network.width >= WIDE and _has_kernels() else usual

    return {stage.name: BACKENDS[backend(stage)](stage, folder, device, precision) for stage in stages}


def graph_formats(device: str = "auto", name: str = "auto") -> tuple[str, ...]:
    """Formats of exported graphs that a backend takes, the best first; arguments as of :func:`load_runtimes`."""
    if name == "auto":
        return ("ONNX", "MindIR") if _choose(device, ("openvino",)) == "openvino" else ("MindIR", "ONNX")
    return {"openvino": ("ONNX",), "mindspore": ("MindIR",)}[name]


def load_graph(graph: Graph, batch_size: int, device: str = "auto", precision: str = "auto") -> Runtime:
    """What runs an exported graph: OpenVINO an ONNX, MindSpore a MindIR, in the precision that is in the graph.

    Args:
        batch_size: images at a time; the graph's own, if that is fixed.
        precision: what OpenVINO computes in, or auto: float32.

    Raises:
        InputError: as :func:`load_runtimes`.
    """
    return GRAPHS[graph.format](graph, batch_size, device, precision)


def load_mindspore(stage: Stage, folder: Path, device: str, precision: str) -> Runtime:
    """MindSpore, on CPU with the project's own kernels."""
    from kidneyseg import device as devices  # MindSpore takes seconds to import
    from kidneyseg.model_folder.network import Probabilities, load_network
    from kidneyseg.runtime.mindspore_runtime import MindSporeRuntime

    network = load_network(stage, checkpoint_path(folder, stage.name), devices.use(device), precision)
    return MindSporeRuntime(Probabilities(network), stage.inference.batch_size)


def mindspore_graph(graph: Graph, batch_size: int, device: str, precision: str) -> Runtime:
    """MindSpore with its own kernels."""
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
    """OpenVINO with the stage's ONNX export, made at the first time."""
    from kidneyseg.runtime.onnx_cache import cached_onnx  # export stands on the networks of this package

    _require_cpu(device)
    return _openvino(cached_onnx(stage, folder), stage.inference.batch_size, precision)


def openvino_graph(graph: Graph, batch_size: int, device: str, precision: str) -> Runtime:
    """OpenVINO."""
    _require_cpu(device)
    return _openvino(graph.path, batch_size, precision)


def _require_cpu(device: str) -> None:
    if device not in ("auto", "CPU"):
        raise InputError(
            "--runtime openvino", expected="--device CPU", found=f"--device {device}", remedy="Take --runtime mindspore"
        )


def _openvino(path: Path, batch_size: int, precision: str) -> Runtime:
    from kidneyseg.runtime.openvino_runtime import OpenVINORuntime

    return OpenVINORuntime(path, batch_size, "float32" if precision == "auto" else precision)


BACKENDS = {"mindspore": load_mindspore, "openvino": load_openvino}
GRAPHS = {"ONNX": openvino_graph, "MindIR": mindspore_graph}
# From this width on the kernels' saving of products outweighs that MindSpore starts in seconds and OpenVINO at once.
WIDE = 32
DRIVERS = ("davinci*", "nvidia*", "dxg")  # files in /dev of Ascend, NVIDIA, and NVIDIA under Windows


def _choose(device: str, packages: Sequence[str]) -> str:
    """What auto means, where OpenVINO needs ``packages``."""
    if not all(map(find_spec, packages)):
        return "mindspore"
    return "openvino" if (_found() if device == "auto" else device) == "CPU" else "mindspore"


def _has_kernels() -> bool:
    if not find_spec("mindspore"):
        return False
    from kidneyseg.cpu_kernels.build import BuildError, compile_kernels

    try:
        compile_kernels()
    except BuildError:  # no warning: OpenVINO does it
        return False
    return True


def _found() -> str:
    """What ``device`` auto means here; MindSpore is asked only where the driver of an accelerator is loaded."""
    if not find_spec("mindspore") or not any(next(Path("/dev").glob(name), None) for name in DRIVERS):
        return "CPU"
    from kidneyseg import device as devices

    return devices.use()
