"""Losses and their gradients, in graph mode, against the same formulas in PyTorch on the same numbers."""
from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import losses
from kidneyseg.errors import InputError
from kidneyseg.losses import CrossEntropy, DeepSupervision, DiceCE, HybridDice, LogDice, SoftDice
from kidneyseg.recipe import Loss

torch = pytest.importorskip("torch")
F = torch.nn.functional

SIZES = [(6, 5), (4, 6, 5)]
REGIONS = ((1, 2), (2,))


def example(size: tuple[int, ...], classes: int = 3, batch: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C, *S) and labels (N, *S) in which the first sample lacks the last class."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (batch, classes, *size)).astype(np.float32)
    target = rng.integers(0, classes, (batch, *size)).astype(np.int32)
    target[0][target[0] == classes - 1] = 0
    return logits, target


def assert_same(loss: ms.nn.Cell, reference, logits: np.ndarray, target: np.ndarray) -> None:
    value, gradient = ms.jit(ms.value_and_grad(loss))(ms.Tensor(logits), ms.Tensor(target))
    assert value.shape == () and value.dtype == ms.float32
    x = torch.tensor(logits, requires_grad=True)
    expected = reference(x, torch.tensor(target).long())
    expected.backward()
    np.testing.assert_allclose(float(value), float(expected.detach()), rtol=1e-5)
    wanted = x.grad.numpy()
    np.testing.assert_allclose(gradient.asnumpy(), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def torch_dice(logits, target, regions, batch):
    """(regions,) or (regions, N): region by region from one-hot labels, as the definition reads."""
    p = torch.softmax(logits, 1)
    hot = F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    axes = tuple(range(0 if batch else 1, target.ndim))
    dice = []
    for region in regions:
        a, b = p[:, list(region)].sum(1), hot[:, list(region)].sum(1)
        dice.append((2 * (a * b).sum(axes) + 1) / (a.sum(axes) + b.sum(axes) + 1))
    return torch.stack(dice)


@pytest.mark.parametrize("size, regions, batch", [  # slices and volumes; every kind of regions; both means
    (SIZES[0], REGIONS, True), (SIZES[0], ((2,),), False), (SIZES[0], None, True),
    (SIZES[1], REGIONS, False), (SIZES[1], ((2,),), True), (SIZES[1], None, False),
])
def test_dice_ce(size, regions, batch):
    def reference(x, t):
        return 1 - torch_dice(x, t, regions or ((1,), (2,)), batch).mean() + F.cross_entropy(x, t)

    assert_same(DiceCE(regions, batch), reference, *example(size))


@pytest.mark.parametrize("gamma, batch", [(1.0, True), (0.3, False), (2.0, True)])
def test_hybrid_dice(gamma, batch):
    def reference(x, t):
        return (-torch.log(torch_dice(x, t, REGIONS, batch))).pow(gamma).mean() + F.cross_entropy(x, t)

    assert_same(HybridDice(REGIONS, batch, LogDice(gamma)), reference, *example((6, 5)))


@pytest.mark.parametrize("weights", [None, (0.2, 1.0, 3.0)])
@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy(size, weights):
    def reference(x, t):
        return F.cross_entropy(x, t, weight=None if weights is None else torch.tensor(weights))

    assert_same(CrossEntropy(weights), reference, *example(size))


def test_cross_entropy_of_huge_logits_stays_finite():
    logits = np.float32([[[300.0, -300.0]], [[-300.0, 300.0]]]).transpose(1, 0, 2)
    assert_same(CrossEntropy(), F.cross_entropy, logits, np.int32([[0, 0]]))


def test_deep_supervision_weighs_each_output():
    logits, target = example((6, 5))
    loss = DeepSupervision(DiceCE(), decay=0.25)
    single = [float(DiceCE()(ms.Tensor(x), ms.Tensor(target))) for x in (logits, 2 * logits, -logits)]

    @ms.jit
    def supervised(x, t):
        return loss((x, 2 * x, -x), t)

    found = supervised(ms.Tensor(logits), ms.Tensor(target))
    np.testing.assert_allclose(float(found), single[0] + single[1] / 4 + single[2] / 16, rtol=1e-6)
    assert float(loss(ms.Tensor(logits), ms.Tensor(target))) == pytest.approx(single[0])


def certain(target: np.ndarray, classes: int = 3) -> ms.Tensor:
    """Logits that are sure of `target` (N, *S)."""
    return ms.Tensor(np.moveaxis(50 * np.eye(classes, dtype=np.float32)[target], -1, 1))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_perfect_prediction_costs_nothing_and_a_wrong_one_does(name):
    _, target = example((6, 5))
    loss = losses.build(Loss(name=name, regions=REGIONS))
    assert float(loss(certain(target), ms.Tensor(target))) == pytest.approx(0, abs=1e-5)
    assert float(loss(certain((target + 1) % 3), ms.Tensor(target))) > 10


def test_dice_of_counted_voxels():
    truth = np.int32([[[1, 1, 2, 0]]])
    found = np.int32([[[1, 0, 2, 2]]])
    dice = SoftDice(REGIONS)(certain(found), ms.Tensor(truth)).asnumpy()
    np.testing.assert_allclose(dice, [(2 * 2 + 1) / (3 + 3 + 1), (2 * 1 + 1) / (2 + 1 + 1)], rtol=1e-5)
    empty = np.zeros((1, 2, 2), np.int32)
    np.testing.assert_allclose(SoftDice(REGIONS)(certain(empty), ms.Tensor(empty)).asnumpy(), [1, 1], rtol=1e-5)


def test_log_dice_is_steeper_near_zero_and_its_gradient_is_finite_at_one():
    slope = ms.grad(LogDice())(ms.Tensor([0.1, 0.9])).asnumpy()
    np.testing.assert_allclose(slope, [-10, -1 / 0.9], rtol=1e-5)
    assert np.isfinite(ms.grad(LogDice(0.3))(ms.Tensor([1.0, 1.0000001])).asnumpy()).all()


@pytest.mark.parametrize("name", losses.LOSSES)
def test_half_precision_logits_are_computed_in_float32(name):
    logits, target = example((6, 5))
    logits = logits.astype(np.float16)
    loss = losses.build(Loss(name=name))
    half = loss(ms.Tensor(logits), ms.Tensor(target))
    full = loss(ms.Tensor(logits.astype(np.float32)), ms.Tensor(target))
    assert half.dtype == ms.float32 and float(half) == float(full)


def test_region_of_a_class_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore leaves a graph dump behind in the working folder
    logits, target = example((6, 5))
    with pytest.raises(ValueError, match="class 3, but there are only classes 0-2"):
        ms.jit(DiceCE(((1, 3),)))(ms.Tensor(logits), ms.Tensor(target))


def test_build():
    assert losses.build(Loss(name="hybrid_dice", gamma=0.3)).loss.mapping.gamma == 0.3
    built = losses.build(Loss(name="dice_ce", regions=[[1, 2]], batch=False)).loss.dice
    assert built.regions == ((1, 2),) and built.batch is False
    with pytest.raises(InputError, match="dice_ce, hybrid_dice.*'focal'"):
        losses.build(Loss(name="focal"))
