"""Where models look together, with first stages that are as sure as they are told to be."""

import numpy as np
import pytest
from cascade_doubles import ByIntensity, dice, make_hu, make_labels, make_model, make_recipe, read_saved

from kidneyseg.errors import InputError
from kidneyseg.inference.cascade import no_hook
from kidneyseg.inference.ensemble.ensemble import Ensemble
from kidneyseg.inference.ensemble.localisation import localise_together
from kidneyseg.inference.model import Model
from kidneyseg.inference.stage import ignore_progress
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.recipe import parse_recipe

SHAPE, SPACING = (24, 64, 72), (3.0, 1.5, 1.5)
LABELS = make_labels(SHAPE, [((12, 30, 22), (7, 12, 9)), ((11, 31, 52), (6, 11, 10))], [((12, 36, 22), (3, 4, 4))])


class Leaning(ByIntensity):
    """Of one class: probability ``inside`` where there is something, ``outside`` elsewhere."""

    def __init__(self, stage, inside, outside=0.0):
        super().__init__(stage)
        self.inside, self.outside = inside, outside

    def __call__(self, images):
        there = super().__call__(images)[:, 1:]
        probability = there * self.inside + (1 - there) * self.outside
        return np.concatenate([1 - probability, probability], axis=1)


def leaning(recipe, inside, outside=0.0):
    """A model that is in two minds in its first stage alone."""
    first = recipe.stages[0]
    return Model(recipe, make_model(recipe).runtimes | {first.name: Leaning(first, inside, outside)})


def confined():
    """The kidney, which is part of the result, then the tumour inside it; both on the scan."""
    base = {"sampling": {"size": SHAPE[1:]}, "network": {"name": "unet2d"}, "loss": {"name": "dice_ce"}}
    return parse_recipe(
        {
            "name": "confined",
            "result": ["kidney", "tumour"],
            "stages": [
                {**base, "name": "kidney", "region": {"body": False}, "targets": [[1, 2]]},
                {
                    **base,
                    "name": "tumour",
                    "region": {"of": "kidney", "crop": "slices", "confined": True},
                    "targets": [[2]],
                },
            ],
        }
    )


@pytest.fixture
def scan(tmp_path):
    return read_saved(tmp_path, make_hu(LABELS), SPACING)


def looks_of(scan, models, merge=None):
    return localise_together(scan, models, [], merge or {}, [no_hook] * len(models), ignore_progress)


def only(masks) -> StageMask:
    [mask] = masks.values()
    return mask


@pytest.mark.parametrize(
    "sure, found",
    [([0.9, 0.2], True), ([0.8, 0.1], False), ([0.6, 0.6, 0.2], False), ([0.9, 0.45, 0.45], True), ([1.0, 0.0], False)],
)
def test_the_mean_of_all_decides(sure, found, scan):
    looks = looks_of(scan, [leaning(make_recipe(), inside) for inside in sure])
    there = only(looks_of(scan, [make_model(make_recipe())])[0].own).mask
    for inside, look in zip(sure, looks):
        np.testing.assert_array_equal(only(look.agreed).mask, there * found)
        np.testing.assert_array_equal(only(look.own).mask, there * (inside > 0.5))


def test_one_that_sees_nothing_and_one_that_sees_kidney_everywhere_are_outvoted(scan):
    recipe = make_recipe()
    models = [make_model(recipe), leaning(recipe, 0.0), make_model(recipe), leaning(recipe, 1.0, 1.0)]
    result, alone = Ensemble.of(models).segment(scan), models[0].segment(scan)
    assert all(result.rois[f"{number} fine"] == alone.rois["fine"] for number in range(1, 5)) and alone.rois["fine"]
    np.testing.assert_array_equal(result.mask, alone.mask)
    assert not result.disagreement.any()


def test_every_model_gets_the_mask_on_its_own_grid(scan):
    recipes = [make_recipe(), make_recipe(spacing=(4.0, 2.5, 2.5)), confined()]
    looks = looks_of(scan, [make_model(recipes[0]), make_model(recipes[1]), leaning(recipes[2], 0.0)])
    assert [only(look.agreed).grid for look in looks] == [only(look.own).grid for look in looks]
    assert len({only(look.agreed).mask.shape for look in looks}) == 3
    assert not only(looks[2].own).mask.any()
    assert dice(only(looks[2].agreed).mask > 0, LABELS > 0) > 0.9  # of two coarse grids


def test_each_mask_is_cleaned_as_its_own_recipe_says(tmp_path):
    labels = LABELS.copy()
    labels[1:4, 5:9, 60:64] = 1
    scan = read_saved(tmp_path, make_hu(labels), SPACING)
    largest = make_recipe(components=[{"labels": [1], "min_fraction": 0.2}])
    looks = looks_of(scan, [make_model(make_recipe()), make_model(largest)])
    kept, dropped = (only(look.agreed).mask > 0 for look in looks)
    assert kept[:4].any() and not dropped[:4].any() and (kept & dropped == dropped).all()


def test_only_those_that_look_for_the_same_look_together(scan):
    """Kidney alone is another thing than kidney with tumour; with a cyst that counts as kidney it is the same."""
    both, kidney = make_recipe(), make_recipe(targets=[[1]])
    blind, alone = looks_of(scan, [leaning(both, 0.0), make_model(kidney)])
    assert not only(blind.agreed).mask.any() and only(alone.agreed).mask.any()
    first, later = both.stages
    cyst = both.model_copy(update={"stages": (first.model_copy(update={"targets": ((1, 2, 3),)}), later)})
    several = [leaning(both, 0.2), make_model(cyst)]
    assert all(only(look.agreed).mask.any() for look in looks_of(scan, several, {3: 1}))
    assert not only(looks_of(scan, several)[0].agreed).mask.any()


def test_what_a_first_stage_adds_to_the_result_is_its_own(scan):
    """Probabilities of 0.7 and 0.4 make a kidney; the agreed mask only says where to look for the tumour."""
    models = [leaning(confined(), inside) for inside in (0.7, 0.4)]
    once = make_model(confined())
    once.segment(scan)
    result = Ensemble.of(models).segment(scan)
    assert result.disagreement[LABELS == 1].min() == 50 and not result.disagreement[LABELS != 1].any()
    np.testing.assert_array_equal(result.mask, LABELS)
    for model in models:  # and no stage ran twice
        for name, runtime in model.runtimes.items():
            assert runtime.batches == once.runtimes[name].batches
    assert set(result.seconds) == {f"{n} {name}" for n in (1, 2) for name in ("kidney", "tumour", "components")}


def test_a_finder_helps_to_find_and_has_no_say_in_the_labels(scan):
    """A blind coarse model, and one that sees: the first one's own fine stage labels what the second has found."""
    recipe = make_recipe()
    blind, finder = leaning(recipe, 0.4), make_model(confined())
    result = Ensemble.of([blind], [finder]).segment(scan)
    alone = make_model(recipe).segment(scan)
    assert dice(result.mask == 1, alone.mask == 1) > 0.99 and dice(result.mask == 2, LABELS == 2) > 0.9
    assert not finder.runtimes["tumour"].batches and not result.disagreement.any()
    assert set(result.rois) == {"1 fine"} and set(result.seconds) == {"1 coarse", "2 kidney", "1 fine", "1 components"}
    with pytest.warns(UserWarning, match="no kidney found"):
        assert not Ensemble.of([blind, blind]).segment(scan).mask.any()


def test_a_finder_of_other_labels_is_refused():
    with pytest.raises(InputError, match="double.*localises the regions for double"):
        Ensemble.of([make_model(make_recipe())], [make_model(make_recipe(targets=[[1]]))])


def test_recipes_without_regions_have_nothing_to_look_for(scan):
    whole = parse_recipe(
        {
            "name": "whole",
            "stages": [
                {
                    "name": "all",
                    "sampling": {"size": SHAPE[1:]},
                    "targets": [[1], [2]],
                    "network": {"name": "unet2d"},
                    "loss": {"name": "dice_ce"},
                }
            ],
        }
    )
    first, second = looks_of(scan, [make_model(whole), make_model(make_recipe())])
    assert not first.own and not first.agreed and not first.seconds
    assert set(second.own) == set(second.agreed) == set(second.seconds) == {"coarse"}
