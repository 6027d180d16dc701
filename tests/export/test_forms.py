"""Graphs that normalise 8-bit images themselves, and graphs in float16, say what the network in float32 says."""

from collections import Counter

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import nn
from mindspore.train.mind_ir_pb2 import ModelProto
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg import device
from kidneyseg.export.graph import ExportOptions
from kidneyseg.export.mindir import export_mindir
from kidneyseg.export.mindir_graph import read_nodes
from kidneyseg.export.onnx_export import export_onnx
from kidneyseg.export.wrappers import Normalised
from kidneyseg.recipe import Intensity, parse_recipe
from kidneyseg.runtime.select import load_runtimes
from kidneyseg.volume.intensity import moments, normalise

GIVEN, OWN = Intensity(), Intensity(per_volume=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The tiny model; its coarse stage normalises each volume by itself. With what its stages say in float32."""
    device.use("CPU")
    data = tiny_recipe().model_dump(mode="json", exclude_none=True)
    data["stages"][0]["intensity"] = {"per_volume": True}
    folder = tmp_path_factory.mktemp("model")
    recipe = save_tiny_model(folder, parse_recipe(data))
    return folder, recipe, load_runtimes(recipe.stages, folder, "CPU", "mindspore")


def grey(stage, count):
    """8-bit images of every brightness and contrast, one of them of one value."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, stage.channels, *stage.sampling.window))
    images = images * rng.uniform(0.1, 0.7, (count, *[1] * (images.ndim - 1))) + rng.integers(0, 70)
    images[0] = 77
    return images.astype(np.uint8)


def normalised(images, intensity):
    return np.stack([normalise(image, *moments(image, intensity)) for image in images])


class Nothing(nn.Cell):
    def construct(self, images):
        return images


@pytest.mark.parametrize("intensity, atol", [(GIVEN, 1e-6), (OWN, 1e-4)])
def test_normalisation_in_the_graph_is_that_of_numpy(intensity, atol):
    device.use("CPU")
    rng = np.random.default_rng(0)
    images = np.full((5, 2, 40, 48, 56), 255, np.uint8)
    images[1, 1, 3, 4, 5] = 254  # deviations of 1e-3 from the mean of 2e5 voxels
    images[2] = rng.integers(0, 256, images[2].shape)
    images[3] = rng.integers(100, 102, images[3].shape)
    images[4] = 0
    found = Normalised(Nothing(), intensity, 3)(ms.Tensor(images)).asnumpy()
    expected = normalised(images, intensity)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol)
    assert found.dtype == np.float32
    if intensity.per_volume:
        assert not found[0].any() and not found[4].any()  # one value only: exactly 0


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_onnx_of_8_bit_images(model, tmp_path, name):
    folder, recipe, float32 = model
    stage = recipe.stage(name)
    graph = export_onnx(stage, folder, tmp_path / "graph.onnx", ExportOptions(uint8=True))
    assert (graph.input.dtype, graph.output.dtype) == ("uint8", "float32")
    assert graph.input.shape == (None, stage.channels, *stage.sampling.window)
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert graph.operators == Counter(node.op_type for node in onnx.load(graph.path).graph.node)
    assert graph.operators["Cast"] == 1 and ("ReduceMean" in graph.operators) == (name == "coarse")
    for count in (1, stage.inference.batch_size):
        images = grey(stage, count)
        expected = float32[name](normalised(images, stage.intensity))
        np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_mindir_of_8_bit_images_in_float16(model, tmp_path, name):
    folder, recipe, float32 = model
    stage = recipe.stage(name)
    batch = stage.inference.batch_size
    graph = export_mindir(stage, folder, tmp_path / "graph.mindir", ExportOptions(batch, uint8=True, float16=True))
    assert (graph.input.dtype, graph.precision, graph.output.dtype) == ("uint8", "float16", "float32")
    proto = ModelProto()
    proto.ParseFromString(graph.path.read_bytes())
    kinds = {name.rpartition(":")[2]: array.dtype for name, array in read_nodes(proto).parameters.items()}
    weights = [kind for name, kind in kinds.items() if name.endswith("weight") and not name.startswith("head")]
    assert len(weights) > 4 and set(weights) == {np.dtype("float16")}
    assert {kind for name, kind in kinds.items() if "norm." in name} == {np.dtype("float32")}
    images = grey(stage, batch)
    found = nn.GraphCell(ms.load(str(graph.path)))(ms.Tensor(images)).asnumpy()
    expected = float32[name](normalised(images, stage.intensity))
    assert found.dtype == np.float32 and expected.std() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert np.abs(found - expected).max() > 1e-6  # it is rounded


def test_onnx_in_float16(model, tmp_path):
    folder, recipe, float32 = model
    stage = recipe.stage("fine")
    graph = export_onnx(stage, folder, tmp_path / "half.onnx", ExportOptions(float16=True))
    kinds = Counter(weight.data_type for weight in onnx.load(graph.path).graph.initializer if len(weight.dims) == 4)
    assert kinds[onnx.TensorProto.FLOAT16] > 4
    images = normalised(grey(stage, 3), stage.intensity)
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"images": images})[0], float32["fine"](images), atol=1e-2)
