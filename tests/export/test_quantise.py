"""int8: close to the float graph, what was asked to stay float does, and nothing is left of what fails."""

import numpy as np
import onnx
import onnxruntime
import pytest
from cascade_doubles import make_hu, make_labels, make_model, make_recipe, read_saved
from onnx import TensorProto, helper, numpy_helper

from kidneyseg.errors import InputError
from kidneyseg.export.quantise import quantise_onnx
from kidneyseg.inference.calibration import Sampled, calibration_images

CHANNELS, CLASSES, BATCH, SIZE = 24, 3, 4, 16


@pytest.fixture
def graph(tmp_path):
    """Convolution, batch norm, ReLU, transposed convolution, convolution, softmax, of random weights."""
    rng = np.random.default_rng(0)

    def weight(name, values):
        return numpy_helper.from_array(values.astype(np.float32), name)

    weights = [
        weight("first", rng.standard_normal((CHANNELS, 1, 3, 3)) / 3),
        *(
            weight(name, values)
            for name, values in zip(("scale", "shift", "mean", "variance"), rng.uniform(0.5, 1.5, (4, CHANNELS)))
        ),
        weight("up", rng.standard_normal((CHANNELS, CHANNELS, 2, 2)) / CHANNELS**0.5),
        weight("last", rng.standard_normal((CLASSES, CHANNELS, 3, 3)) / CHANNELS**0.5),
    ]
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["a"], "conv", pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"], "norm"),
        helper.make_node("Relu", ["b"], ["c"], "relu"),
        helper.make_node("ConvTranspose", ["c", "up"], ["d"], "rise", strides=[2, 2]),
        helper.make_node("Conv", ["d", "last"], ["logits"], "head", pads=[1] * 4),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    ports = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [BATCH, 1, SIZE, SIZE]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [BATCH, CLASSES, 2 * SIZE, 2 * SIZE]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "net", ports[:1], ports[1:], weights),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    return path


def images(count):
    return np.random.default_rng(1).standard_normal((count, 1, SIZE, SIZE), np.float32)


def probabilities(path, batch):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"images": batch})[0]


def test_int8_says_nearly_the_same_and_how_nearly(graph, tmp_path):
    path, seen = tmp_path / "int8.onnx", images(2 * BATCH)
    share = quantise_onnx(graph, seen, path)
    pairs = [[probabilities(file, batch) for file in (graph, path)] for batch in (seen[:BATCH], seen[BATCH:])]
    apart = max(np.abs(one - two).max() for one, two in pairs)
    assert 0 < apart < 0.15
    changed = [np.mean(one.argmax(1) != two.argmax(1)) for one, two in pairs]
    assert share == pytest.approx(np.mean(changed)) and 0 < share < 0.05
    nodes = onnx.load(path).graph.node
    kinds = [node.op_type for node in nodes]
    assert "BatchNormalization" not in kinds and kinds.count("QuantizeLinear") >= 2
    from_int8 = {output for node in nodes if node.op_type == "DequantizeLinear" for output in node.output}
    quantised = {node.name: node.input[1] in from_int8 for node in nodes if node.op_type in ("Conv", "ConvTranspose")}
    assert list(quantised.values()) == [True, True, False]  # the head stays float32


def test_images_that_do_not_fill_a_batch_are_enough(graph, tmp_path):
    assert 0 <= quantise_onnx(graph, images(BATCH + 1), tmp_path / "int8.onnx") < 0.05


def test_other_input_is_refused(graph, tmp_path):
    model = onnx.load(graph)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, graph)
    with pytest.raises(InputError, match="a graph with float32 input"):
        quantise_onnx(graph, images(BATCH), tmp_path / "int8.onnx")
    assert [path.name for path in tmp_path.iterdir()] == [graph.name]


def test_a_sample_is_kept_of_all_that_passes():
    kept = []
    for _ in range(2):
        sampled = Sampled(lambda batch: -batch, limit=20)
        for start in range(0, 1000, 10):
            batch = np.arange(start, start + 10, dtype=np.float32)[:, None]
            np.testing.assert_array_equal(sampled(batch), -batch)
        kept.append(np.sort(np.concatenate(sampled.kept)))
    np.testing.assert_array_equal(*kept)
    assert len(set(kept[0])) == 20 and kept[0][0] < 250 and kept[0][-1] >= 750 and 300 < kept[0].mean() < 700


def test_images_are_what_the_stages_see(tmp_path):
    shape, spacing = (20, 48, 60), (3.0, 1.5, 1.5)
    labels = make_labels(shape, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 8))])
    model = make_model(make_recipe())
    found = calibration_images(model, [read_saved(tmp_path, make_hu(labels), spacing)], limit=4)
    assert {name: values.shape for name, values in found.items()} == {
        "coarse": (4, 1, 16, 32, 32),
        "fine": (4, 1, 64, 64),
    }
    empty = read_saved(tmp_path, make_hu(np.zeros(shape, np.uint8)), spacing)
    with pytest.warns(UserWarning, match="no kidney"), pytest.raises(InputError, match="'fine'"):
        calibration_images(model, [empty])
