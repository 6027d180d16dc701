import resource
import time

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops
from scipy import stats

from kidneyseg.recipe import Train
from kidneyseg.training import optimizer
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.mixup import draw_share
from kidneyseg.training.step import FIRST_SCALE, TrainStep


class Linear(nn.Cell):
    """Logits weight * image: gradients that a test can write down."""

    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(np.ones((2, 1)), ms.float32), name="weight")

    def construct(self, image):
        return image * self.weight


class Scale(nn.Cell):
    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(2.0, ms.float32), name="weight")

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


def test_mixup_blends_the_batch_and_its_loss_with_their_reverse():
    """The logits are weight * blend, so the gradient is the blend of the images times the blend of the targets."""
    image = np.float32([[[1, 2]], [[3, 5]], [[7, 11]]])
    target = np.int32([[[1, 0]], [[0, 1]], [[1, 1]]])
    network = nn.SequentialCell(Scale())
    train = TrainStep(
        network,
        Sum(),
        nn.SGD(network.trainable_params(), 1.0),
        clip_norm=0,
        precision="float32",
        ranks=Ranks(),
        mixup=True,
    )
    for share in (0.25, 1.0):
        before = network[0].weight.asnumpy().copy()
        outcome = train(image, target, 0.5, share)
        blends = [share * x + (1 - share) * x[::-1] for x in (image, target)]
        gradient = (blends[0] * blends[1]).sum()
        assert outcome.loss == pytest.approx(before * gradient, rel=1e-6)
        np.testing.assert_allclose(before - network[0].weight.asnumpy(), 0.5 * gradient, rtol=1e-5)


def test_shares_of_mixup_follow_their_beta_distribution_and_repeat():
    shares = [draw_share(0.4, 7, epoch, step) for epoch in range(20) for step in range(100)]
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    assert shares[123] == draw_share(0.4, 7, 1, 23) != draw_share(0.4, 8, 1, 23)


def test_compiled_once_and_memory_stays():
    """200 steps with validation in between: no slower than a first compilation, no growth of memory."""
    network = nn.SequentialCell(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3))

    class Error(nn.Cell):
        def construct(self, logits, target):
            return ops.mse_loss(logits[:, 0], target.astype(ms.float32))

    train = TrainStep(
        network, Error(), optimizer.build(Train(), network), clip_norm=1.0, precision="float32", ranks=Ranks()
    )
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
