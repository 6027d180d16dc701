"""OpenVINO's own: what it refuses, and what it keeps in memory. That it computes the same is for test_backends.py."""

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from kidneyseg.errors import InputError
from kidneyseg.runtime import openvino_runtime
from kidneyseg.runtime.openvino_runtime import OpenVINORuntime

SIDE, CHANNELS = 1024, 64  # 256 MiB between the two convolutions


@pytest.fixture
def graph(tmp_path):
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal(shape, np.float32), name)
        for name, shape in (("one", (CHANNELS, 1, 3, 3)), ("two", (1, CHANNELS, 3, 3)))
    ]
    nodes = [
        helper.make_node("Conv", ["images", "one"], ["between"], pads=[1] * 4),
        helper.make_node("Conv", ["between", "two"], ["probabilities"], pads=[1] * 4),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, SIDE, SIDE])
        for name in ("images", "probabilities")
    ]
    onnx.save(
        helper.make_model(
            helper.make_graph(nodes, "net", ports[:1], ports[1:], weights),
            ir_version=8,
            opset_imports=[helper.make_opsetid("", 17)],
        ),
        tmp_path / "net.onnx",
    )
    return tmp_path / "net.onnx"


def test_only_the_one_that_ran_last_keeps_its_tensors(graph):
    first, second = OpenVINORuntime(graph, 1), OpenVINORuntime(graph, 1)
    images = np.random.default_rng(1).standard_normal((1, 1, SIDE, SIDE), np.float32)
    here = psutil.Process().memory_info
    before, answer = here().rss, first(images)
    one = here().rss - before
    np.testing.assert_array_equal(second(images), answer)
    both = here().rss - before
    half = SIDE**2 * CHANNELS * 4 / 2  # what a process holds moves by some MiB of its own
    assert one > half > both - one
    np.testing.assert_array_equal(first(images), answer)  # memory comes back when it is wanted
    del second
    np.testing.assert_array_equal(first(images), answer)


def test_a_precision_that_the_cpu_has_not_is_refused(graph, monkeypatch):
    class Core:
        def get_property(self, device, name):
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino_runtime, "openvino", lambda: type("package", (), {"Core": Core}))
    for precision in ("bfloat16", "float16"):
        with pytest.raises(InputError, match=f"expected float32 on this CPU, found {precision}"):
            OpenVINORuntime(graph, 1, precision)


def test_bfloat16_is_what_is_computed_where_the_cpu_has_it(graph):
    if "BF16" not in openvino_runtime.openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("no bfloat16 here")
    images = np.random.default_rng(1).standard_normal((1, 1, SIDE, SIDE), np.float32)
    exact, rounded = (OpenVINORuntime(graph, 1, precision)(images) for precision in ("float32", "bfloat16"))
    assert 1e-4 < np.abs(rounded - exact).max() / np.abs(exact).max() < 0.05
