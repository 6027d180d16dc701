"""The MindSpore runtime against the network itself."""

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import nets
from kidneyseg.model_folder.network import Probabilities
from kidneyseg.recipe import Network
from kidneyseg.runtime.mindspore_runtime import MindSporeRuntime


@pytest.fixture(scope="module")
def network():
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_seed(3)
    return nets.build_network(Network(name="unet2d", width=4, depth=2), classes=3)


def test_is_the_softmax_of_the_logits_whatever_the_batch(network):
    runtime = MindSporeRuntime(Probabilities(network), batch_size=3)
    images = np.random.default_rng(0).normal(size=(3, 1, 8, 12)).astype(np.float32)
    logits = network.set_train(False)(ms.Tensor(images)).asnumpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    result = runtime(images)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_allclose(runtime(images[:1]), expected[:1], atol=1e-6)  # a short batch is padded, then cut
    with pytest.raises(ValueError, match="exceeds the batch size"):
        runtime(np.concatenate([images, images]))


def test_batch_statistics_are_those_of_training(network):
    """In inference a sample must not depend on the others of its batch."""
    images = np.random.default_rng(1).normal(size=(2, 1, 8, 8)).astype(np.float32)
    runtime = MindSporeRuntime(Probabilities(network.set_train(True)), batch_size=2)
    np.testing.assert_allclose(runtime(images)[:1], runtime(images[:1]), atol=1e-6)
