import resource
import time

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from kidneyseg.recipe import Train
from kidneyseg.training import optimizer
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.step import FIRST_SCALE, TrainStep


class Linear(nn.Cell):
    """Logits weight * image: gradients that a test can write down."""

    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(np.ones((2, 1)), ms.float32), name="weight")

    def construct(self, image):
        return image * self.weight


class Sum(nn.Cell):
    """d loss / d logits = target."""

    def construct(self, logits, target):
        return (logits * target).sum()


def make(precision="float32", clip_norm=0.0):
    network = Linear()
    optim = nn.SGD(network.trainable_params(), 1.0)
    return network, TrainStep(network, Sum(), optim, clip_norm=clip_norm, precision=precision, ranks=Ranks())


IMAGE = np.array([[3.0], [4.0]], np.float32)  # with target 1 the gradient of weight is (3, 4), of norm 5
TARGET = np.ones((2, 1), np.int32)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("clip_norm, step", [(0.0, (3.0, 4.0)), (10.0, (3.0, 4.0)), (1.0, (0.6, 0.8))])
def test_update_is_clipped_to_the_global_norm(precision, clip_norm, step):
    network, train = make(precision, clip_norm)
    outcome = train(IMAGE, TARGET, 0.5)
    assert outcome.updated and outcome.loss == pytest.approx(7.0)
    np.testing.assert_allclose(network.weight.asnumpy()[:, 0], 1 - 0.5 * np.array(step), rtol=1e-5)


def test_learning_rate_is_that_of_the_call():
    network, train = make()
    for rate in (0.1, 0.01):
        before = network.weight.asnumpy().copy()
        train(IMAGE, TARGET, rate)
        np.testing.assert_allclose(before - network.weight.asnumpy(), rate * IMAGE, rtol=1e-3)


def test_float16_overflow_skips_the_step_and_halves_the_scale():
    network, train = make("float16")
    huge = IMAGE * np.float32(1e34)  # finite, but not times the loss scale
    outcome = train(huge, TARGET, 0.5)
    assert not outcome.updated and not train.stuck()
    assert float(train.scaler.scale_value.asnumpy()) == FIRST_SCALE / 2
    np.testing.assert_array_equal(network.weight.asnumpy(), 1)
    assert train(IMAGE, TARGET, 0.5).updated


def test_not_finite_in_float32_leaves_the_weights_and_is_stuck():
    network, train = make()
    outcome = train(IMAGE * np.float32(np.nan), TARGET, 0.5)
    assert not outcome.updated and np.isnan(outcome.loss) and train.stuck()
    np.testing.assert_array_equal(network.weight.asnumpy(), 1)


def test_compiled_once_and_memory_stays():
    """200 steps with validation in between: no slower than a first compilation, no growth of memory."""
    network = nn.SequentialCell(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3))

    class Error(nn.Cell):
        def construct(self, logits, target):
            return ops.mse_loss(logits[:, 0], target.astype(ms.float32))

    train = TrainStep(network, Error(), optimizer.build(Train(), network), clip_norm=1.0, precision="float32",
                      ranks=Ranks())
    image, target = np.ones((4, 1, 32, 32), np.float32), np.ones((4, 32, 32), np.int32)
    started = time.perf_counter()
    train(image, target, 1e-3)
    network.set_train(False)
    network(ms.Tensor(image))
    first = time.perf_counter() - started
    for _ in range(20):
        train(image, target, 1e-3)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    for number in range(200):
        train(image, target, 1e-3)
        if number % 50 == 0:
            network.set_train(False)
            network(ms.Tensor(image))
    assert (time.perf_counter() - started) / 200 < first / 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # KiB
