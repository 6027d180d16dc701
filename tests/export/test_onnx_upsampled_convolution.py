"""Convolutions of up-sampled features in ONNX: products at the low resolution, the same result."""

import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from mindspore import nn

from kidneyseg.export.onnx_export import to_onnx
from kidneyseg.nets.layers import blocks


def run(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


@pytest.mark.parametrize(
    "factor, bias, shape", [(2, True, (2, 5, 4, 6)), (4, False, (2, 5, 3, 1)), (16, True, (1, 3, 2, 2))]
)
def test_same_result(factor, bias, shape):
    cell = nn.SequentialCell(blocks.Upsample(2, factor), blocks.conv(2, shape[1], 7, bias=bias)).set_train(False)
    proto = to_onnx(cell, shape, any_batch=True)
    large = {node.output[0] for node in proto.graph.node if node.op_type == "Resize"}
    weights = {weight.name: tuple(weight.dims) for weight in proto.graph.initializer}
    (products,) = (node for node in proto.graph.node if node.op_type == "Conv")
    assert weights[products.input[1]] == (63, shape[1], 1, 1) and products.input[0] not in large
    images = np.random.default_rng(0).standard_normal((3, *shape[1:]), np.float32)
    expected = cell(ms.Tensor(images)).asnumpy()
    np.testing.assert_allclose(run(proto, images), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "after",
    [lambda: blocks.conv(2, 3, 4, 1), lambda: blocks.conv(2, 3, 4, stride=2), lambda: blocks.conv(2, 3, 4, dilation=2)],
)
def test_other_convolutions_stay_behind(after):
    cell = nn.SequentialCell(blocks.Upsample(2), after()).set_train(False)
    kinds = [node.op_type for node in to_onnx(cell, (1, 3, 4, 4), any_batch=False).graph.node]
    assert kinds[:2] == ["Resize", "Conv"]
