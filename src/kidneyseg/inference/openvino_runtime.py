"""OpenVINO, Intel's inference engine, as what runs a stage's network on a CPU."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from kidneyseg.cpu.threads import thread_count
from kidneyseg.errors import InputError
from kidneyseg.inference.padding import padded

HINTS = {"float32": "f32", "bfloat16": "bf16"}  # a precision, and OpenVINO's word for it


class OpenVINORuntime:
    """An ONNX file as a :class:`kidneyseg.inference.model.Runtime`, on as many threads as the kernels take.

    Args:
        graph: of `kidneyseg export --format onnx`: (batch_size, channels, \\*S) images -> probabilities.
        batch_size: what every batch is padded to.
        precision: float32 or bfloat16, which only some CPUs have.

    Raises:
        InputError: OpenVINO is not installed.
    """

    def __init__(self, graph: Path, batch_size: int, precision: str = "float32") -> None:
        self.batch_size = batch_size
        self.model = openvino().Core().compile_model(str(graph), "CPU", {
            "INFERENCE_PRECISION_HINT": HINTS[precision],  # its own default is bfloat16 where a CPU has it: 1e-2 off
            "INFERENCE_NUM_THREADS": thread_count(),
            "PERFORMANCE_HINT": "LATENCY",  # one batch at a time
            "ENABLE_CPU_PINNING": False,  # two processes would be put on the same cores
        })

    def __call__(self, images: np.ndarray) -> np.ndarray:
        batch = padded(images.astype(np.float32, copy=False), self.batch_size)
        return self.model(batch)[0][:len(images)]


@cache
def openvino() -> ModuleType:
    """The package, imported without its telemetry, which would report every import to Google Analytics."""
    name = "openvino_telemetry"
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # "cannot be imported": OpenVINO then takes a stub
    try:
        import openvino as package
    except ImportError as error:
        raise InputError("--runtime openvino", expected="the package openvino", found=str(error),
                         remedy="pip install -e .[openvino], or take --runtime mindspore") from None
    finally:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded
    return package
