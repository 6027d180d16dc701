"""Ensembles of models that are never sure, against the same sums over whole arrays."""

import dataclasses
import warnings

import numpy as np
import pytest
from cascade_doubles import ByIntensity, make_hu, make_model, make_recipe, read_saved

from kidneyseg.errors import InputError
from kidneyseg.inference.ensemble.ensemble import Ensemble
from kidneyseg.inference.ensemble.voting import LabelVote
from kidneyseg.inference.model import Model
from kidneyseg.recipe import parse_recipe
from kidneyseg.volume.intensity import to_uint8

SHAPE, SPACING = (24, 48, 64), (3.0, 1.5, 1.5)
BOX = (slice(5, 21), slice(8, 40), slice(14, 54))  # the kidney with a margin of 3: the fine stage's size
MARGIN = 0.002  # mean probabilities nearer to each other than this may be rounded either way


class Soft:
    """Probabilities of a voxel from its grey value alone: softmax of a random linear function of it."""

    def __init__(self, stage, seed):
        self.stage, rng = stage, np.random.default_rng(seed)
        self.slope, self.shift = rng.normal(0, 2, stage.classes), rng.normal(0, 1, stage.classes)

    def of(self, grey):
        """(...) grey values, 0-255 -> (classes, ...)"""
        axes = (-1,) + (1,) * np.ndim(grey)
        logits = self.slope.reshape(axes) * (grey - 128.0) / 64 + self.shift.reshape(axes)
        return np.exp(logits) / np.exp(logits).sum(axis=0)

    def __call__(self, images):
        grey = images[:, 0] * self.stage.intensity.std + self.stage.intensity.mean
        return np.moveaxis(self.of(grey), 0, 1).astype(np.float32)


def stage(name, targets, **more):
    return {
        "name": name,
        "region": {"body": False},
        "sampling": {"size": list(SHAPE[1:])},
        "targets": targets,
        "network": {"name": "unet2d"},
        "loss": {"name": "dice_ce"},
        **more,
    }


def whole(**more):
    return parse_recipe({"name": "whole", "stages": [stage("all", [[1], [2]])], **more})


def painted():
    stages = [stage("kidney", [[1]]), stage("tumour", [[2]])]
    return parse_recipe({"name": "painted", "stages": stages, "result": ["kidney", "tumour"]})


def roi():
    return make_recipe(size=(32, 40), spacing=SPACING, region={"body": False})


def soft(recipe, seed):
    """Stages that only find regions know the answer."""
    return Model(
        recipe,
        {
            s.name: Soft(s, seed + n) if s.name in recipe.result_stages else ByIntensity(s)
            for n, s in enumerate(recipe.stages)
        },
    )


@pytest.fixture
def scan(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:18, 11:37, 17:51] = 1
    labels[10:14, 14:20, 20:30] = 2
    noise = np.random.default_rng(0).integers(-15, 16, SHAPE)
    return read_saved(tmp_path, (make_hu(labels) + noise).astype(np.int16), SPACING)


def naive(model, scan):
    """(labels + 1, z, y, x) float64 of labels 0, 1, 2: every stage's probabilities, painted over the earlier ones."""
    q = np.stack([np.ones(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE)])
    for name in model.recipe.result_stages:
        one = model.recipe.stage(name)
        p = model.runtimes[name].of(to_uint8(scan.array, one.intensity.clip))
        if one.region.of is not None:
            outside = np.ones(SHAPE, bool)
            outside[BOX] = False
            p[0, outside], p[1:, outside] = 1, 0
        q = q * p[0]
        for target, share in zip(one.targets, p[1:]):
            q[target[0]] += share
    return q


def clear(probabilities):
    """Where the greatest is so by more than rounding can change."""
    ordered = np.sort(probabilities, axis=0)
    return ordered[-1] - ordered[-2] > MARGIN


@pytest.mark.parametrize("recipes", [[whole, whole], [whole, roi, whole], [painted, whole], [roi, painted, painted]])
@pytest.mark.parametrize("seed", [0, 10])
def test_is_the_mean_over_whole_arrays(recipes, seed, scan):
    models = [soft(make(), seed + 100 * n) for n, make in enumerate(recipes)]
    result = Ensemble.of(models).segment(scan)
    each = [naive(model, scan) for model in models]
    mean = np.mean(each, axis=0)
    expected, sure = mean.argmax(axis=0), clear(mean)
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(result.mask[sure], expected[sure])
    votes = np.stack([one.argmax(axis=0) for one in each])
    sure &= np.all([clear(one) for one in each], axis=0)
    percent = 100 * np.mean(votes != expected, axis=0)
    np.testing.assert_allclose(result.disagreement[sure], percent[sure], atol=0.51)
    assert result.disagreement.dtype == np.uint8 and percent[sure].any()


@pytest.mark.parametrize("make", [whole, roi])
def test_the_same_model_twice_is_that_model(make, scan):
    model = soft(make(), 3)
    result = Ensemble.of([model, model]).segment(scan)
    q = naive(model, scan)
    np.testing.assert_array_equal(result.mask[clear(q)], model.segment(scan).mask[clear(q)])
    assert result.mask.any() and not result.disagreement[clear(q)].any()
    assert {key.split()[0] for key in result.seconds} == {"1", "2"}


def test_what_a_stage_cleans_away_is_background_for_all(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:18, 11:37, 17:51] = 1
    labels[2:4, 2:4, 2:4] = 1
    scan = read_saved(tmp_path, make_hu(labels), SPACING)
    base = stage("all", [[1], [2]])
    cleaned = parse_recipe({"name": "clean", "stages": [{**base, "components": [{"labels": [1], "min_voxels": 9}]}]})
    assert not Ensemble.of([make_model(cleaned)] * 2).segment(scan).mask[:6].any()
    kept = Ensemble.of([make_model(whole())] * 2).segment(scan)
    assert (kept.mask[2:4, 2:4, 2:4] == 1).all()
    split = Ensemble.of([make_model(cleaned), make_model(whole())]).segment(scan)
    assert not split.mask[:6].any() and (split.disagreement[2:4, 2:4, 2:4] == 50).all()


def test_the_oracles_regions_reach_every_model(scan):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:18, 11:37, 17:51] = 1
    models = [soft(roi(), seed) for seed in (3, 4)]
    models = [dataclasses.replace(model, runtimes={**model.runtimes, "coarse": None}) for model in models]
    result = Ensemble.of(models).segment(scan, oracle=labels)
    assert result.mask.any() and set(result.rois) == {"1 fine", "2 fine"}


def test_nothing_found_is_said_once(tmp_path):
    scan = read_saved(tmp_path, np.full(SHAPE, -100, np.int16), SPACING)
    with pytest.warns(UserWarning, match="no kidney found") as told:
        result = Ensemble.of([make_model(roi()), make_model(roi())]).segment(scan)
    assert len(told) == 1 and not result.mask.any() and not result.disagreement.any()


def test_labels_meet_by_the_merges_of_all(scan):
    """What one recipe calls a cyst is kidney once another one reads cysts so."""
    three = parse_recipe(
        {
            "name": "three",
            "labels": {"kidney": 1, "tumour": 2, "cyst": 3},
            "stages": [stage("all", [[3], [2]])],
            "components": [{"labels": [3, 1], "largest": 1}],
        }
    )
    models = [make_model(whole(merge={3: 1})), soft(three, 0)]
    models[1].runtimes["all"] = models[0].runtimes["all"]
    ensemble = Ensemble.of(models)
    assert ensemble.recipe.labels == {"kidney": 1, "tumour": 2} and ensemble.recipe.merge == {3: 1}
    assert ensemble.recipe.name == "whole + three"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(ensemble.segment(scan).mask, models[0].segment(scan).mask)
    assert Ensemble.of(models[::-1]).recipe.components[0].labels == (1,)


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"labels": {"kidney": 1, "tumour": 2, "cyst": 3}}, "cyst"),  # nobody reads cysts as kidney
        ({"labels": {"kidney": 1, "mass": 2}}, "'mass'"),
        ({"merge": {3: 2}}, "label 3"),
    ],
)
def test_labels_that_cannot_meet_are_refused(changes, found):
    first = whole(merge={3: 1}) if "merge" in changes else whole()
    with pytest.raises(InputError, match=found):
        Ensemble.of([make_model(first), make_model(whole(**changes))])


def test_sums_do_not_overflow():
    """Every model sure of the same label, for any number of models."""
    for models in (2, 3, 7, 255):
        poll = LabelVote((1, 1, 2), (1, 2), models)
        for _ in range(models):
            poll.add({1: np.array([[[poll.one, 0]]], np.uint16)})
        mask = poll.mask()
        assert mask.ravel().tolist() == [1, 0] and poll.disagreement(mask).ravel().tolist() == [0, 0]
