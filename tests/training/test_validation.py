import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops
from tiny_training import RECIPE as TEXT
from yaml import safe_load

from kidneyseg.recipe import parse_recipe
from kidneyseg.training.validation import Validated, Validator, region_names

RECIPE = parse_recipe(safe_load(TEXT))


class Thresholds(nn.Cell):
    """Class 1 above 1, class 2 above 2."""

    def construct(self, image):
        return ops.concat((ops.ones_like(image), image * 2 - 1, image * 3 - 3), axis=1)


class Constant(nn.Cell):
    def construct(self, logits, target):
        return target.astype(ms.float32).mean()


def test_region_names():
    assert region_names(RECIPE, RECIPE.stage("coarse")) == {"kidney+tumour": (1,)}
    assert region_names(RECIPE, RECIPE.stage("fine")) == {"kidney+tumour": (1, 2), "tumour": (2,)}
    bare = RECIPE.stage("fine").model_copy(update={"loss": RECIPE.stage("coarse").loss})
    assert region_names(RECIPE, bare) == {"kidney": (1,), "tumour": (2,)}


def test_dice_is_pooled_per_case_then_averaged():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 3.5, (5, 1, 6, 7)).astype(np.float32)
    targets = rng.integers(0, 3, (5, 6, 7)).astype(np.int32)
    images[4], targets[4] = 0, 0  # a case with nothing in it, and nothing found
    names = ["a", "a", "b", "b", "c"]
    batches = [(images[part], targets[part], names[part]) for part in (slice(0, 2), slice(2, 4), slice(4, 5))]
    validator = Validator(Thresholds(), Constant(), {"kidney+tumour": (1, 2), "tumour": (2,)})
    result = validator(batches)

    predicted = np.argmax(np.concatenate([np.ones_like(images), images * 2 - 1, images * 3 - 3], 1), 1)
    for region, classes in (("kidney+tumour", (1, 2)), ("tumour", (2,))):
        scores = []
        for rows in ([0, 1], [2, 3], [4]):
            p, t = np.isin(predicted[rows], classes), np.isin(targets[rows], classes)
            scores.append(2 * (p & t).sum() / (p.sum() + t.sum()) if (p | t).any() else 1.0)
        assert result.dice[region] == pytest.approx(np.mean(scores), rel=1e-12)
        assert scores[2] == 1.0 and 0 < scores[0] < 1
    assert result.score("dice") == pytest.approx(np.mean(list(result.dice.values())))
    assert result.score("loss") == -result.loss
    assert result.loss == pytest.approx(np.mean([targets[:2].mean(), targets[2:4].mean(), 0]), rel=1e-6)
    fullest = int(np.argmax([np.count_nonzero(t) for t in targets]))
    np.testing.assert_array_equal(result.picture.image, images[fullest, 0])
    np.testing.assert_array_equal(result.picture.predicted, predicted[fullest])


def test_a_loss_that_is_not_finite_is_the_worst():
    assert Validated({"kidney": 0.5}, float("nan"), None).score("loss") == -np.inf


def test_the_picture_of_a_stack_is_its_middle_slice():
    class Middle(nn.Cell):
        def construct(self, stack):
            return ops.concat((ops.zeros_like(stack[:, :1]), stack[:, 2:3]), axis=1)

    stack = np.random.default_rng(0).uniform(-1, 1, (1, 5, 6, 7)).astype(np.float32)
    picture = Validator(Middle(), Constant(), {"kidney": (1,)})([(stack, np.ones((1, 6, 7), np.int32), ["a"])]).picture
    np.testing.assert_array_equal(picture.image, stack[0, 2])
    np.testing.assert_array_equal(picture.predicted, stack[0, 2] > 0)


def test_voxels_that_may_be_of_several_classes_count_where_it_is_known():
    class Three(nn.Cell):  # says 1 where the image is 1, 2 where it is 2
        def construct(self, image):
            return ops.concat((image == 0, image == 1, image == 2), axis=1).astype(ms.float32)

    image = np.array([0, 1, 2, 2, 1, 0], np.float32).reshape(1, 1, 1, 6)
    target = np.array([0, 130, 130, 2, 1, 130], np.int32).reshape(1, 1, 6)
    validator = Validator(Three(), Constant(), {"both": (1, 2), "second": (2,)}, {130: (1, 2)})
    dice = validator([(image, target, ["a"])]).dice
    assert dice["both"] == pytest.approx(2 * 4 / (4 + 5)) and dice["second"] == 1  # 130 is no sure second
