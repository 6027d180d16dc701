"""What can run the networks of a model, by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.inference.model import Runtime, checkpoint_path
from kidneyseg.recipe import Stage


def load_runtimes(stages: Sequence[Stage], folder: Path, device: str = "auto", name: str = "auto",
                  precision: str = "auto") -> dict[str, Runtime]:
    """What runs each stage of the model in ``folder``, by the stage's name.

    Args:
        device: auto, CPU, GPU or Ascend.
        name: one of ``BACKENDS``, or auto: OpenVINO on a CPU if it is installed, else MindSpore.
        precision: what the networks compute in, or auto: float32 on a CPU, elsewhere what they were trained in.

    Raises:
        InputError: no such device, a backend that is not installed or not for it, a precision it has not, a bad
            checkpoint.
    """
    load = BACKENDS[_choose(device) if name == "auto" else name]
    return {stage.name: load(stage, folder, device, precision) for stage in stages}


def load_mindspore(stage: Stage, folder: Path, device: str, precision: str) -> Runtime:
    """MindSpore, on CPU with the project's own kernels."""
    from kidneyseg import device as devices  # MindSpore takes seconds to import
    from kidneyseg.inference.networks import load_network
    from kidneyseg.inference.runtimes import MindSporeRuntime

    network = load_network(stage, checkpoint_path(folder, stage.name), devices.use(device), precision)
    return MindSporeRuntime(network, stage.inference.batch_size)


def load_openvino(stage: Stage, folder: Path, device: str, precision: str) -> Runtime:
    """OpenVINO with the stage's ONNX export, made at the first time."""
    from kidneyseg.export.onnx_cache import cached_onnx  # export stands on the networks of this package
    from kidneyseg.inference.openvino_runtime import OpenVINORuntime

    if device not in ("auto", "CPU"):
        raise InputError("--runtime openvino", expected="--device CPU", found=f"--device {device}",
                         remedy="Take --runtime mindspore")
    return OpenVINORuntime(cached_onnx(stage, folder), stage.inference.batch_size,
                           "float32" if precision == "auto" else precision)


BACKENDS = {"mindspore": load_mindspore, "openvino": load_openvino}
DRIVERS = ("davinci*", "nvidia*", "dxg")  # files in /dev of Ascend, NVIDIA, and NVIDIA under Windows


def _choose(device: str) -> str:
    if not all(map(find_spec, ("openvino", "onnx", "onnxruntime"))):
        return "mindspore"
    return "openvino" if (_found() if device == "auto" else device) == "CPU" else "mindspore"


def _found() -> str:
    """What ``device`` auto means here; MindSpore is asked only where the driver of an accelerator is loaded."""
    if not any(next(Path("/dev").glob(name), None) for name in DRIVERS):
        return "CPU"
    from kidneyseg import device as devices

    return devices.use()
