"""The runtime that computes a stage's network with OpenVINO, Intel's inference engine, on a CPU."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.runtime.padding import padded
from kidneyseg.system.cores import thread_count
from kidneyseg.system.environment import uncapped

PRECISIONS = {"float32": ("f32", "FP32"), "bfloat16": ("bf16", "BF16")}  # OpenVINO's hint, required CPU capability


class OpenVINORuntime:
    """An ONNX file as a :class:`kidneyseg.runtime.base.Runtime`, with as many threads as the project's CPU kernels.

    Of all instances only the one that ran last keeps the memory of its tensors, because full-size networks need
    gigabytes and the stages of a cascade run one after the other.

    Args:
        graph: file of ``kidneyseg export --format onnx``: (batch_size, channels, \\*S) images -> probabilities.
        batch_size: size to which every batch is padded.
        precision: float32, or bfloat16 if the CPU supports it. Layers that are int8 in the graph stay int8.

    Raises:
        InputError: OpenVINO is not installed, or does not support this precision on this CPU.
    """

    _ran_last: ClassVar[Callable[[], OpenVINORuntime | None]] = staticmethod(lambda: None)

    def __init__(self, graph: Path, batch_size: int, precision: str = "float32") -> None:
        self.batch_size = batch_size
        core = openvino().Core()
        has = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        here = [name for name, (_, needed) in PRECISIONS.items() if needed in has]
        if precision not in here:
            raise InputError(
                "precision of --runtime openvino",
                expected=f"{' or '.join(here)} on this CPU",
                found=precision,
                remedy="Use float32, or a CPU with AVX-512 BF16 or AMX for bfloat16",
            )
        self.model = core.compile_model(
            str(graph),
            "CPU",
            {
                # The default would be bfloat16 on CPUs that support it, with errors of 1e-2.
                "INFERENCE_PRECISION_HINT": PRECISIONS[precision][0],
                "INFERENCE_NUM_THREADS": thread_count(),
                "PERFORMANCE_HINT": "LATENCY",  # one batch at a time
                "ENABLE_CPU_PINNING": False,  # pinning would put two processes on the same cores
            },
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        last = OpenVINORuntime._ran_last()
        if last is not self:
            if last is not None:
                last.model.release_memory()
            OpenVINORuntime._ran_last = weakref.ref(self)
        batch = padded(images.astype(np.float32, copy=False), self.batch_size)
        return self.model(batch)[0][: len(images)]


@cache
def openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would report every import to Google Analytics.

    Its oneDNN is used once here, without the instruction-set cap, so that it detects all CPU features.
    """
    name = "openvino_telemetry"
    loaded = sys.modules.get(name)
    # "Cannot be imported": OpenVINO then takes a stub. Typeshed does not know of this use of None.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        with uncapped():
            import openvino as package

            package.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except ImportError as error:
        raise InputError(
            "--runtime openvino",
            expected="the package openvino",
            found=str(error),
            remedy="pip install -e .[openvino], or use --runtime mindspore",
        ) from None
    finally:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded
    return package
