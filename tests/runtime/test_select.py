"""Every backend gives the same probabilities; OpenVINO's files are kept, and it needs no MindSpore then."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg import cpu_kernels
from kidneyseg import device as devices
from kidneyseg.errors import InputError
from kidneyseg.export import onnx_export
from kidneyseg.runtime import select
from kidneyseg.runtime.openvino_runtime import openvino
from kidneyseg.runtime.select import load_runtimes

RECIPE = tiny_recipe()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    cpu_kernels.available()  # its kernels stay in the usual cache
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIDNEYSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_openvino_gives_mindspores_probabilities(model):
    found = load_runtimes(RECIPE.stages, model, "CPU", "openvino")
    expected = load_runtimes(RECIPE.stages, model, "CPU", "mindspore")
    rng = np.random.default_rng(0)
    for stage in RECIPE.stages:
        size = stage.inference.batch_size
        images = 3 * rng.standard_normal((size, stage.channels, *stage.sampling.window), np.float32)
        probabilities = expected[stage.name](images)
        assert probabilities.std() > 0.01
        for count in (size, 1):  # a short batch is filled up, and what fills it left out
            of_openvino = found[stage.name](images[:count])
            assert of_openvino.dtype == np.float32
            np.testing.assert_allclose(of_openvino, probabilities[:count], atol=1e-4)
        kept = of_openvino.copy()
        found[stage.name](images[-1:])
        np.testing.assert_array_equal(of_openvino, kept)  # not a view of what the next call overwrites
        with pytest.raises(ValueError, match="exceeds the batch size"):
            found[stage.name](np.concatenate([images, images]))


def test_onnx_is_made_once_per_weights_and_network(model, tmp_path, monkeypatch):
    load_runtimes(RECIPE.stages, model, "CPU", "openvino")
    made = []
    monkeypatch.setenv("KIDNEYSEG_CACHE", str(tmp_path / "cache"))

    def export(stage, folder, path, batch, export=onnx_export.export_onnx):
        made.append(stage.name)
        return export(stage, folder, path, batch)

    monkeypatch.setattr(onnx_export, "export_onnx", export)
    coarse = RECIPE.stages[:1]
    for _ in range(2):
        load_runtimes(coarse, model, "CPU", "openvino")
    assert made == ["coarse"]
    batches_of_1 = coarse[0].model_copy(update={"inference": coarse[0].inference.model_copy(update={"batch_size": 1})})
    load_runtimes([batches_of_1], model, "CPU", "openvino")
    assert made == ["coarse"] * 2
    other = tmp_path / "other"
    save_tiny_model(other, tiny_recipe("vnet3d"))
    with pytest.raises(InputError, match="best.ckpt"):  # of another network than the recipe says: no file is made
        load_runtimes(coarse, other, "CPU", "openvino")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_kept_model_needs_neither_mindspore_nor_telemetry(model):
    load_runtimes(RECIPE.stages, model, "CPU", "openvino")
    code = f"""
import sys
from kidneyseg.inference import cascade
from kidneyseg.inference.model import Model
Model.load({str(model)!r}, "CPU", None, "openvino")
assert "openvino" in sys.modules
print([name for name in ("mindspore", "openvino_telemetry") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_auto_takes_openvino_on_a_cpu_that_has_it(model, monkeypatch):
    def chosen(device):
        (runtime,) = load_runtimes(RECIPE.stages[:1], model, device, "auto").values()
        return type(runtime).__name__

    assert chosen("CPU") == "OpenVINORuntime"
    asked = []
    monkeypatch.setattr(devices, "use", lambda name="auto": asked.append(name) or "CPU")
    for drivers, questions in (("no-such*",), []), (("no-such*", "null"), ["auto"]):
        monkeypatch.setattr(select, "DRIVERS", drivers)
        assert chosen("auto") == "OpenVINORuntime" and asked == questions
    monkeypatch.setattr(select, "find_spec", lambda name: None if name == "mindspore" else object())
    assert select._auto_device() == "CPU" and asked == ["auto"]
    monkeypatch.setattr(select, "find_spec", lambda name: None)
    assert chosen("CPU") == "MindSporeRuntime"


def test_auto_takes_the_kernels_for_wide_networks(model, monkeypatch):
    narrow, other = RECIPE.stages
    monkeypatch.setattr(select, "WIDE", 5)
    stages = [narrow, other.model_copy(update={"network": other.network.model_copy(update={"width": 5})})]

    def chosen(precision="auto", device="CPU"):
        monkeypatch.setattr(select, "BACKENDS", {name: lambda *_, name=name: name for name in select.BACKENDS})
        return list(load_runtimes(stages, model, device, "auto", precision).values())

    assert chosen() == chosen("float32") == ["openvino", "mindspore"]
    assert chosen("bfloat16") == ["openvino"] * 2
    monkeypatch.setenv("CXX", "no-such-compiler")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen() == ["openvino"] * 2
        monkeypatch.setattr(select, "_has_kernels", None)
        assert chosen(device="GPU") == ["mindspore"] * 2


def test_openvino_is_refused_where_it_cannot_run(model, monkeypatch):
    with pytest.raises(InputError, match="--device CPU"):
        load_runtimes(RECIPE.stages, model, "Ascend", "openvino")
    openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install -e .\[openvino\]"):
        load_runtimes(RECIPE.stages, model, "CPU", "openvino")
