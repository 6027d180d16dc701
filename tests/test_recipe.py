"""Recipes: every shipped one loads, round-trips, and bad ones are refused with the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kidneyseg.errors import InputError
from kidneyseg.recipe import SliceSampling, VolumeSampling, load_recipe, save_recipe

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
MPLAB = Path(__file__).parents[1] / "configs/mplab.yaml"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_recipes_load_and_round_trip(path, tmp_path):
    recipe = load_recipe(path)
    save_recipe(recipe, tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == recipe
    assert list(tmp_path.iterdir()) == [tmp_path / "again.yaml"]


def test_mplab_is_the_published_system():
    recipe = load_recipe(MPLAB)
    coarse, fine = recipe.stages
    assert coarse.sampling == VolumeSampling(spacing=(3.22, 1.62, 1.62), patch=(80, 160, 160), stride=(48, 44, 44))
    assert (coarse.intensity.clip, coarse.intensity.mean, coarse.intensity.std) == ((-79, 304), 119.84, 103.80)
    assert (coarse.network.name, coarse.loss.name) == ("unet3d", "dice_ce")
    assert (coarse.train.batch_size, coarse.classes) == (4, 2)
    assert fine.sampling == SliceSampling(size=(256, 256))
    assert (fine.region.of, fine.region.gap, fine.region.margin) == ("coarse", 15, 3)
    assert (fine.network.name, fine.loss.name) == ("unet3plus", "hybrid_dice")
    assert (fine.train.batch_size, fine.classes) == (8, 3)
    for stage in recipe.stages:
        plan = stage.train.schedule
        assert (plan.start, plan.peak, plan.end, plan.warmup, stage.train.epochs) == (3e-4, 1e-3, 1e-5, 1500, 90)
    assert [c.min_fraction for c in recipe.components] == [0.2, 0.2]
    assert recipe.merge == {3: 1}


def test_overrides_address_stages_by_name_or_index():
    recipe = load_recipe(MPLAB, ["stages.fine.train.epochs=2", "stages.0.network.width=8", "name=mine"])
    assert (recipe.stage("fine").train.epochs, recipe.stage("coarse").network.width, recipe.name) == (2, 8, "mine")


def test_an_override_of_a_list_sets_the_item_at_that_index():
    coarse = load_recipe(MPLAB, ["stages.coarse.sampling.patch.2=192"]).stage("coarse")
    assert coarse.sampling.patch == (80, 160, 192)


@pytest.mark.parametrize(
    "config, stage, change",
    [
        ("unet_resnet34", "kidney", "train.epochs=2"),  # *train
        ("resunet25d", "coarse", "train.schedule.peak=1.0e-2"),  # <<: *train
        ("resunet25d", "kidney", "train.augment.elastic.sigma.0=1"),
    ],
)
def test_an_override_changes_only_its_stage_where_yaml_shares(config, stage, change):
    path = MPLAB.with_stem(config)
    before, after = load_recipe(path), load_recipe(path, [f"stages.{stage}.{change}"])
    assert [a.name for b, a in zip(before.stages, after.stages) if a != b] == [stage]


@pytest.mark.parametrize(
    "override, words",
    [
        ("stages.coarse.train.epochz=2", ["epochz", "'epochs'"]),
        ("stages.coarse.sampling.patchh=3", ["patchh", "'patch'"]),
        ("stages.fine.sampling.sise=3", ["sise", "'size'"]),
        ("nme=3", ["nme", "'name'"]),
        ("stages.corse.train.epochs=3", ["corse", "'coarse'"]),
        ("stages.coarse.train.augment.flipp=1", ["flipp", "'flip'"]),
        ("components.0.labelz=1", ["labelz", "'labels'"]),
        ("stages.coarse.train.epochs=0", ["epochs", "greater than or equal to 1", "docs/recipe.md"]),
        ("stages.coarse.network.depth=x", ["depth", "integer", "'x'"]),
        ("stages.coarse.intensity.clip=[3,1]", ["clip", "low < high"]),
        ("stages.coarse.sampling.stride=[99,1,1]", ["stride <= patch"]),
        ("stages.fine.region.of=nobody", ["nobody", "earlier stage"]),
        ("stages.fine.region.masked=true; stages.fine.region.of=null", ["masked and confined", "`of`"]),
        ("stages.fine.region.grow=3", ["grow", "masked and confined"]),
        ("stages.fine.region.crop=none; stages.fine.region.gap=4", ["gap of no effect", "crop: none"]),
        ("stages.fine.region.crop=none", ["only when masked or confined"]),
        ("stages.fine.region.crop=box; stages.fine.region.gap=4", ["gap of no effect", "crop: box"]),
        ("stages.coarse.region.least=64; stages.coarse.region.margin=5", ["least, margin of no effect", "`of`"]),
        ("stages.fine.inference.overlap=0.25", ["overlap and merge", "slices"]),
        ("stages.fine.inference.merge=centre", ["overlap and merge", "slices"]),
        ("stages.fine.inference.mirrors=[z]", ["single slices", "mirror"]),
        ("stages.coarse.inference.mirrors=[z,zyx,z]", ["mirrors", "other axes"]),
        ("stages.coarse.inference.mirrors=[w]", ["mirrors", "pattern"]),
        ("stages.fine.train.augment.flip_axes=zy", ["flip_axes", "single slices"]),
        ("stages.fine.train.augment.flip_axes=xy", ["flip_axes", "pattern"]),
        ("stages.fine.train.augment.lesion={classes: [3], gamma: 0.1}", ["lesion.classes", "1-2"]),
        ("stages.fine.train.augment.lesion.gamma=[0.6,1.5]", ["classes", "inside which"]),
        ("stages.fine.train.augment.scale=[1.3,0.6]", ["scale", "low <= high"]),
        ("stages.fine.train.augment.scale=1.2", ["scale", "less than 1"]),
        ("stages.fine.train.augment.elastic.sigma=[0,5]", ["sigma", "low <= high"]),
        ("stages.fine.train.augment.mixup=0.2; stages.fine.train.batch_size=1", ["mixup", "2 or more"]),
        ("stages.fine.train.schedule.factor=0.9", ["factor", "no effect", "cosine"]),
        ("stages.fine.train.schedule={kind: constant, end: 0}", ["end", "no effect", "constant"]),
        ("stages.fine.loss.side.decay=0.8", ["side", "deep_supervision"]),
        ("stages.fine.train.sampler.labels={3: 2, 7: 2}", ["sampler.labels", "[7]"]),
        ("result=[kidney]", ["result", "coarse, fine"]),
        ("stages.fine.targets=[[1],[7]]", ["[7]", "labels"]),
        ("stages.fine.targets=[]", ["targets []", "at least one target"]),
        ("stages.fine.targets=[[1],[2,1]]", ["[[1], [2, 1]]", "one class"]),
        ("labels={kidney: 1, tumour: 2, cyst: 2}", ["labels", "same number"]),
        ("components.0.labels=[]", ["components.0.labels", "1 item"]),
        ("components.0.labels=[7]", ["components", "[7]"]),
        ("stages.fine.intensity.clip={centre: x, width: 3}", ["'x'", "numbers of HU"]),
        ("stages.coarse.targets=[[]]", ["targets [[]]", "at least one label"]),
        ("stages.fine.targets=[[1],[0]]", ["stages.1.targets.1.0", "greater than or equal to 1, found 0"]),
        ("labels.kidney=0", ["labels.kidney", "greater than or equal to 1, found 0"]),
        ("labels.tumour=256", ["labels.tumour", "less than or equal to 255, found 256"]),
        ("stages.fine.sampling=", ["stages.1.sampling", "expected a mapping of keys, found None"]),
        ("stages.fine.sampling=64", ["stages.1.sampling", "expected a mapping of keys, found 64"]),
        ("stages.fine.loss.regions=[[3]]", ["[3]", "classes 1-2"]),
        ("stages.coarse.sampling.patch=[84,160,160]", ["[84, 160, 160]", "multiples of 8"]),
        ("stages.coarse.inference.patch=[80,160,100]", ["[80, 160, 100]", "multiples of 8"]),
        ("stages.fine.inference.patch=[80,160,160]", ["inference.patch", "leave it out"]),
        ("stages.1.name=coarse", ["two stages"]),
        ("merge.1=2", ["{1: 2}", "labels"]),
        ("merge={4: 5}", ["{4: 5}", "labels"]),
        ("merge={0: 1}", ["merge", "greater than or equal to 1"]),
        ("name.x=3", ["below a plain value"]),
        ("nothing", ["KEY=VALUE"]),
    ],
)
def test_bad_overrides_are_refused(override, words):
    with pytest.raises(InputError) as caught:
        load_recipe(MPLAB, override.split("; "))
    for word in words:
        assert word in str(caught.value)


def test_the_result_is_the_last_stage_or_those_that_are_named():
    assert load_recipe(MPLAB).result_stages == ("fine",)
    assert load_recipe(MPLAB, ["result=[coarse,fine]"]).result_stages == ("coarse", "fine")


@pytest.mark.parametrize(
    "sampling, window, channels",
    [
        ("{shape: [32, 48, 64]}", (32, 48, 64), 1),
        ("{slices: 48, size: [224, 384], stride: 24}", (48, 224, 384), 1),
        ("{size: [512, 512], stack: 5}", (512, 512), 5),
        ("{size: [256, 256], slice_spacing: 1.0}", (256, 256), 1),
    ],
)
def test_every_sampling_says_what_the_network_sees(sampling, window, channels):
    fine = load_recipe(MPLAB, [f"stages.fine.sampling={sampling}"]).stage("fine")
    assert (fine.sampling.window, fine.channels, fine.dims) == (window, channels, len(window))


@pytest.mark.parametrize(
    "text, words",
    [
        (None, ["No such file"]),
        ("a: [", ["valid YAML"]),
        ("&a [*a]", ["valid YAML", "aliases"]),
        ("- 1", ["mapping"]),
        ("{}", ["name"]),
    ],
)
def test_bad_files_are_refused(tmp_path, text, words):
    path = tmp_path / "r.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_unknown_stage_names_the_known_ones():
    with pytest.raises(InputError, match="coarse, fine.*Did you mean 'fine'"):
        load_recipe(MPLAB).stage("fin")
