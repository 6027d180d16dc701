"""What is set for MindSpore reaches nobody else: not children, not OpenVINO (PyTorch: cpu/test_torch_setup.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kidneyseg import CAP, CAPPED

GIVEN = """
import os
import kidneyseg
before = os.environ["ONEDNN_MAX_CPU_ISA"]
os.environ.update(LD_LIBRARY_PATH="of a library", KIDNEYSEG_THREADS="3")
from kidneyseg.system.environment import given_environment, uncapped
given = given_environment()
with uncapped():
    inside = os.environ.get("ONEDNN_MAX_CPU_ISA")
names = ("ONEDNN_MAX_CPU_ISA", "GLOG_v", "LD_LIBRARY_PATH", "KIDNEYSEG_THREADS")
print([given.get(name) for name in names], inside, before == os.environ["ONEDNN_MAX_CPU_ISA"])
"""
OPENVINO = """
import numpy as np
import os
from kidneyseg.runtime.openvino_runtime import openvino
package = openvino()
from openvino import opset13 as ops
image = ops.parameter([1, 16, 32, 32], np.float32)
ones = [1, 1]
convolution = ops.convolution(image, ops.constant(np.ones((16, 16, 3, 3), "f4")), ones, ones, ones, ones)
model = package.Core().compile_model(package.Model([convolution], [image]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
print(os.environ["ONEDNN_MAX_CPU_ISA"], [op.get_rt_info()["primitiveType"].astype(str)
                                         for op in model.get_runtime_model().get_ops()])
"""


def said(*argv, cap=None, **variables):
    ours = (CAP, CAPPED, "GLOG_v", "LD_LIBRARY_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= variables | ({CAP: cap} if cap else {})
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, env=environment).stdout.strip()


@pytest.mark.parametrize(
    "cap, expected",
    [(None, "[None, None, None, '3'] None True"), ("AVX512_CORE", "['AVX512_CORE', None, None, '3'] AVX512_CORE True")],
)
def test_a_child_gets_what_the_user_has_set(cap, expected):
    assert said("-c", GIVEN, cap=cap) == expected


def test_a_cap_of_a_parent_process_is_not_taken_for_the_users():
    parent = (
        "import subprocess, sys, kidneyseg\n"
        "code = 'import os, kidneyseg; print(kidneyseg.CAP in kidneyseg.GIVEN, os.environ[kidneyseg.CAP])'\n"
        "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)"
    )
    assert said("-c", parent) == "False AVX2"
    assert said("-c", parent, cap="AVX512_CORE") == "True AVX512_CORE"


@pytest.mark.skipif("avx512f" not in Path("/proc/cpuinfo").read_text().split(), reason="this CPU has no AVX-512")
def test_openvino_takes_all_that_the_cpu_has():
    pytest.importorskip("openvino")
    cap, _, primitives = said("-c", OPENVINO).partition(" ")
    assert cap == "AVX2" and "avx512" in primitives
