"""Losses and their gradients, in graph mode, against the same formulas in PyTorch on the same numbers."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import losses
from kidneyseg.errors import InputError
from kidneyseg.losses import CrossEntropy, DiceLoss, LogDice, SoftDice
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


@pytest.mark.parametrize(
    "size, regions, batch",
    [  # slices and volumes; every kind of regions; both means
        (SIZES[0], REGIONS, True),
        (SIZES[0], ((2,),), False),
        (SIZES[0], None, True),
        (SIZES[1], REGIONS, False),
        (SIZES[1], ((2,),), True),
        (SIZES[1], None, False),
    ],
)
def test_dice_ce(size, regions, batch):
    def reference(x, t):
        return 1 - torch_dice(x, t, regions or ((1,), (2,)), batch).mean() + F.cross_entropy(x, t)

    assert_same(build(name="dice_ce", regions=regions, batch=batch), reference, *example(size))


@pytest.mark.parametrize("gamma, batch", [(1.0, True), (0.3, False), (2.0, True)])
def test_hybrid_dice(gamma, batch):
    def reference(x, t):
        return (-torch.log(torch_dice(x, t, REGIONS, batch))).pow(gamma).mean() + F.cross_entropy(x, t)

    assert_same(build(name="hybrid_dice", regions=REGIONS, batch=batch, gamma=gamma), reference, *example((6, 5)))


@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy(size):
    assert_same(CrossEntropy(), F.cross_entropy, *example(size))


WEIGHTS = (0.01, 0.14, 0.85)


def torch_weighted_dice(x, t, batch, weights=WEIGHTS):
    """The weighted mean of 1 - Dice over all classes, the background too."""
    dice = torch_dice(x, t, ((0,), (1,), (2,)), batch).reshape(3, -1).mean(1)
    return sum(w * (1 - d) for w, d in zip(weights, dice)) / sum(weights)


@pytest.mark.parametrize(
    "weights, batch, size", [(WEIGHTS, True, SIZES[1]), (WEIGHTS, False, SIZES[0]), ((0, 2, 6), True, SIZES[0])]
)
def test_weighted_dice(weights, batch, size):
    assert_same(
        build(name="dice", weights=weights, batch=batch),
        lambda x, t: torch_weighted_dice(x, t, batch, weights),
        *example(size),
    )


def test_weighted_dice_of_counted_voxels():
    truth, found = np.int32([[[1, 1, 0, 0]]]), np.int32([[[1, 0, 0, 0]]])
    dice = (2 * 2 + 1) / (2 + 3 + 1), (2 * 1 + 1) / (2 + 1 + 1)  # background, foreground
    loss = build(name="dice", weights=[0.01, 0.99])(certain(found, 2), ms.Tensor(truth))
    assert float(loss) == pytest.approx(1 - 0.01 * dice[0] - 0.99 * dice[1], rel=1e-5)


def test_dice_ce_weighs_its_dice_alone():
    assert_same(
        build(name="dice_ce", weights=WEIGHTS),
        lambda x, t: torch_weighted_dice(x, t, True) + F.cross_entropy(x, t),
        *example((6, 5)),
    )


def torch_focal(x, t, focus):
    """Equation 4 of Lin et al. with the probability of each voxel's own class."""
    p = torch.softmax(x, 1).gather(1, t[:, None])
    return (-((1 - p) ** focus) * torch.log(p)).mean()


@pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_dice(focus, weights):
    def reference(x, t):
        dice = torch_weighted_dice(x, t, True) if weights else 1 - torch_dice(x, t, ((1,), (2,)), True).mean()
        return torch_focal(x, t, focus) + dice

    logits, target = example((6, 5))
    assert_same(build(name="focal_dice", focus=focus, weights=weights), reference, logits / 3, target)


def test_focal_of_sure_voxels_has_a_finite_gradient():
    target = np.int32([[[0, 1, 2]]])
    gradient = ms.grad(build(name="focal_dice", focus=0.3))(certain(target), ms.Tensor(target))
    assert np.isfinite(gradient.asnumpy()).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_bce_is_one_foreground_class_against_the_background(classes):
    def reference(x, t):
        z = x[:, 1:] - x[:, :1]
        return F.binary_cross_entropy_with_logits(z, F.one_hot(t, classes).movedim(-1, 1)[:, 1:].to(z.dtype))

    assert_same(build(name="bce"), reference, *example((6, 5), classes))


def test_bce_of_two_classes_is_softmax_cross_entropy_and_stays_finite():
    assert_same(build(name="bce"), F.cross_entropy, *example((6, 5), 2))
    huge = np.float32([[[300.0, -300.0]], [[-300.0, 300.0]]]).transpose(1, 0, 2)
    assert_same(build(name="bce"), F.cross_entropy, huge, np.int32([[0, 0]]))


def test_cross_entropy_of_huge_logits_stays_finite():
    logits = np.float32([[[300.0, -300.0]], [[-300.0, 300.0]]]).transpose(1, 0, 2)
    assert_same(CrossEntropy(), F.cross_entropy, logits, np.int32([[0, 0]]))


@pytest.mark.parametrize(
    "side, epoch, weights",
    [
        ({}, 0, (0.5, 0.25)),
        ({"weight": 0.33, "falloff": 1, "decay": 0.8, "every": 15}, 0, (0.33, 0.33)),
        ({"weight": 0.33, "falloff": 1, "decay": 0.8, "every": 15}, 14, (0.33, 0.33)),
        ({"weight": 0.33, "falloff": 1, "decay": 0.8, "every": 15}, 47, (0.33 * 0.8**3, 0.33 * 0.8**3)),
        ({"weight": 0.4, "falloff": 0.1, "decay": 0.5, "every": 1}, 2, (0.1, 0.01)),
    ],
)
def test_deep_supervision_weighs_each_output(side, epoch, weights):
    logits, target = example((6, 5))
    loss = build(name="dice_ce", side=side)
    single = [float(loss(ms.Tensor(x), ms.Tensor(target))) for x in (logits, 2 * logits, -logits)]
    loss.start_epoch(epoch)
    found = supervised(loss)(ms.Tensor(logits), ms.Tensor(target))
    np.testing.assert_allclose(float(found), single[0] + weights[0] * single[1] + weights[1] * single[2], rtol=1e-6)


def supervised(loss):
    @ms.jit
    def run(x, t):
        return loss((x, 2 * x, -x), t)

    return run


def test_side_outputs_fade_within_one_compiled_graph():
    logits, target = (ms.Tensor(x) for x in example((6, 5)))
    loss = build(name="dice_ce", side={"decay": 0, "every": 2})
    run, found = supervised(loss), []
    for epoch in (0, 1, 2):
        loss.start_epoch(epoch)
        found.append(float(run(logits, target)))
    assert found[0] == found[1] > found[2] == pytest.approx(float(loss(logits, target)), rel=1e-6)


def build(**settings):
    return losses.build_loss(Loss(**settings))


def certain(target: np.ndarray, classes: int = 3) -> ms.Tensor:
    """Logits that are sure of `target` (N, *S): its class far above the background, the others far below."""
    own = np.eye(classes, dtype=np.float32)
    logits = 100 * own - 50
    logits[1:, 0] = 0
    return ms.Tensor(np.moveaxis(logits[target], -1, 1))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_perfect_prediction_costs_nothing_and_a_wrong_one_does(name):
    _, target = example((6, 5))
    loss = build(name=name)
    assert float(loss(certain(target), ms.Tensor(target))) == pytest.approx(0, abs=1e-5)
    assert float(loss(certain((target + 1) % 3), ms.Tensor(target))) > (0.8 if name == "dice" else 10)


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
    loss = losses.build_loss(Loss(name=name))
    half = loss(ms.Tensor(logits), ms.Tensor(target))
    full = loss(ms.Tensor(logits.astype(np.float32)), ms.Tensor(target))
    assert half.dtype == ms.float32 and float(half) == float(full)


def test_region_of_a_class_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore leaves a graph dump behind in the working folder
    logits, target = example((6, 5))
    with pytest.raises(ValueError, match="class 3, but there are only classes 0-2"):
        ms.jit(DiceLoss(((1, 3),)))(ms.Tensor(logits), ms.Tensor(target))


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="dice_ce, hybrid_dice.*'focal'"):
        build(name="focal")


@pytest.mark.parametrize(
    "settings, refused",
    [
        ({"name": "hybrid_dice", "weights": [1, 1]}, "loss.weights.*dice_ce, dice, focal_dice.*'hybrid_dice'"),
        ({"name": "bce", "regions": [[1]]}, "loss.regions.*'bce'"),
        ({"name": "bce", "batch": False}, "loss.batch"),
        ({"name": "dice", "gamma": 0.3}, "loss.gamma.*hybrid_dice"),
        ({"name": "dice_ce", "focus": 1}, "loss.focus"),
        ({"name": "dice", "weights": [1, 1], "regions": [[1]]}, "without loss.regions"),
        ({"name": "dice", "weights": [0, 0]}, "not all 0"),
    ],
)
def test_settings_without_effect_are_refused(settings, refused):
    with pytest.raises(InputError, match=refused):
        build(**settings)


UNCERTAIN = {130: (1, 2), 133: (0, 2)}


def uncertain_example(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, dict]:
    """As `example`, some voxels known only as one of two classes; and what each voxel may be, (N, C, *S) bool."""
    logits, target = example(size)
    rng = np.random.default_rng(1)
    for code in UNCERTAIN:
        target[rng.random(target.shape) < 0.2] = code
    may_be = np.stack(
        [(target == k) | np.isin(target, [c for c, of in UNCERTAIN.items() if k in of]) for k in range(3)], 1
    )
    return logits, target, torch.tensor(may_be)


def marginal_dice(x, may_be, regions):
    """Batch Dice of regions over the voxels of which it is known whether they are inside."""
    p, dice = torch.softmax(x, 1), []
    for region in regions:
        outside = [k for k in range(3) if k not in region]
        t = (~may_be[:, outside]).all(1) & may_be[:, list(region)].any(1)
        counts = t | ~may_be[:, list(region)].any(1)
        q = p[:, list(region)].sum(1)
        dice.append((2 * (q * t).sum() + 1) / ((q * counts).sum() + t.sum() + 1))
    return torch.stack(dice)


def marginal_cross_entropy(x, may_be):
    return -torch.log((torch.softmax(x, 1) * may_be).sum(1)).mean()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name, reference",
    [
        ("dice_ce", lambda x, m: 1 - marginal_dice(x, m, REGIONS).mean() + marginal_cross_entropy(x, m)),
        ("hybrid_dice", lambda x, m: -torch.log(marginal_dice(x, m, REGIONS)).mean() + marginal_cross_entropy(x, m)),
    ],
)
def test_voxels_of_several_classes_count_for_what_is_known_of_them(size, name, reference):
    logits, target, may_be = uncertain_example(size)
    loss = losses.build_loss(Loss(name=name, regions=REGIONS), UNCERTAIN)
    assert_same(loss, lambda x, t: reference(x, may_be), logits, target)


def test_focal_and_binary_losses_of_voxels_of_several_classes():
    logits, target, may_be = uncertain_example(SIZES[0])

    def focal(x, t):
        p = (torch.softmax(x, 1) * may_be).sum(1)
        return (-((1 - p) ** 2) * torch.log(p)).mean() + 1 - marginal_dice(x, may_be, ((1,), (2,))).mean()

    def binary(x, t):
        cost = F.binary_cross_entropy_with_logits(x[:, 1:] - x[:, :1], may_be[:, 1:].float(), reduction="none")
        unsure = may_be[:, 1:] & (may_be.sum(1, keepdim=True) > 1)
        return (cost * ~unsure).mean()

    assert_same(losses.build_loss(Loss(name="focal_dice"), UNCERTAIN), focal, logits, target)
    assert_same(losses.build_loss(Loss(name="bce"), UNCERTAIN), binary, logits, target)
