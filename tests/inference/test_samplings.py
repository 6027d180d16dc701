"""Cascades of every sampling, region and result, with runtimes that know the answer."""

import numpy as np
import pytest
from cascade_doubles import KIDNEY, TUMOUR, dice, make_hu, make_labels, make_model, read_saved
from views import true_view

from kidneyseg.preprocessing.image import stack_slices
from kidneyseg.recipe import parse_recipe
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.intensity import moments, normalise

SHAPE, SPACING = (40, 100, 120), (3.0, 1.2, 1.2)
LABELS = make_labels(SHAPE, [((20, 55, 90), (9, 14, 12)), ((18, 55, 30), (10, 13, 12))], [((22, 66, 90), (4, 6, 6))])
COARSE = {"shape": [32, 64, 64]}
SAMPLINGS = {
    "volumes": {"spacing": [3, 1.2, 1.2], "patch": [16, 32, 32], "stride": [16, 32, 32]},
    "whole": {"shape": [32, 64, 64]},
    "slabs": {"slices": 16, "size": [64, 64], "stride": 16},
    "slabs at another spacing": {"slices": 16, "size": [64, 64], "stride": 16, "slice_spacing": 2.0},
    "slices": {"size": [64, 64]},
    "stacks": {"size": [64, 64], "stack": 5, "slice_spacing": 2.0},
}


def stage(name, sampling, targets, region=None, **more) -> dict:
    return {
        "name": name,
        "sampling": sampling,
        "targets": targets,
        "network": {"name": "unet3d", "depth": 2},
        "loss": {"name": "dice_ce"},
        "region": region or {},
        "inference": {"batch_size": 3},
    } | more


def cascade(*stages, **more):
    return parse_recipe({"name": "double", "stages": list(stages), **more})


def two(sampling, crop="kidneys", more=None, **region):
    return cascade(
        stage("coarse", COARSE, [[1, 2]]),
        stage("fine", sampling, [[1], [2]], {"of": "coarse", "crop": crop} | region, **(more or {})),
    )


def run(tmp_path, recipe, labels=LABELS, **options):
    model = make_model(recipe)
    return model.segment(read_saved(tmp_path, make_hu(labels), SPACING), **options), model


def check(mask, labels=LABELS):
    assert mask.dtype == np.uint8 and mask.shape == labels.shape
    assert dice(mask > 0, labels > 0) > 0.95 and dice(mask == 2, labels == 2) > 0.9


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize("crop, rois", [("kidneys", 2), ("box", 1), ("slices", 1), ("extents", 2)])
def test_every_sampling_of_every_region(tmp_path, sampling, crop, rois):
    result, model = run(tmp_path, two(sampling, crop, margin=4))
    check(result.mask)
    assert len(result.rois["fine"]) == rois
    made = model.recipe.stage("fine")
    assert {shape[1:] for shape in model.runtimes["fine"].batches} == {(made.channels, *made.sampling.window)}


def test_inference_may_take_larger_patches_than_training(tmp_path):
    masks = []
    for inference in ({}, {"patch": [16, 48, 64], "overlap": 0.25}):
        recipe = two(SAMPLINGS["volumes"], "box", more={"inference": inference | {"batch_size": 1}})
        result, model = run(tmp_path, recipe)
        check(result.mask)
        masks.append(result.mask)
        assert {shape[2:] for shape in model.runtimes["fine"].batches} == {tuple(inference.get("patch", (16, 32, 32)))}
    assert (masks[0] == masks[1]).all()  # a network without context does not see where its windows lie


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_a_single_stage_of_the_whole_scan(tmp_path, sampling):
    if "size" in sampling:
        sampling = sampling | {"size": [96, 128]}  # all of the scan is in it
    result, _ = run(tmp_path, cascade(stage("only", sampling, [[1], [2]])))
    assert dice(result.mask > 0, LABELS > 0) > 0.9 and result.rois == {}
    assert result.stages["only"].grid == Grid(SHAPE)


def answering(tmp_path, answer, **inference):
    """What a cascade finds, per slice of its one region, whose windows of 16 slices all say ``answer``, (16,)."""
    recipe = cascade(
        stage("coarse", COARSE, [[1, 2]]),
        stage(
            "fine", SAMPLINGS["slabs"], [[1]], {"of": "coarse", "crop": "box"}, inference={"batch_size": 2} | inference
        ),
    )
    model = make_model(recipe)
    value = np.float32(answer)[:, None, None]
    model.runtimes["fine"] = lambda images: (
        np.broadcast_to(np.stack([1 - value, value]), (len(images), 2, 16, 64, 64)) + np.zeros(images.shape, np.float32)
    )
    result = model.segment(read_saved(tmp_path, make_hu(LABELS), SPACING))
    [roi] = result.rois["fine"]
    inside = result.mask[tuple(slice(int(o), int(o) + n) for o, n in zip(roi.origin, roi.shape))]
    assert (inside == inside[:, :1, :1]).all()
    return inside[:, 0, 0]


def test_a_stages_merge_rule_is_that_of_its_windows(tmp_path):
    """Yes at the rim of a window, no in its middle half: by their middles, only the ends of the region are a yes."""
    answer = np.repeat([0.9, 0.4, 0.9], [4, 8, 4])
    centre = answering(tmp_path, answer, merge="centre")
    assert centre.tolist() == [1] * 4 + [0] * (len(centre) - 8) + [1] * 4 and len(centre) > 16
    assert answering(tmp_path, answer, merge="gaussian").sum() > 8


@pytest.mark.filterwarnings("ignore:.*no kidney found")
def test_a_stages_mirrors_are_those_of_its_windows(tmp_path):
    """Yes in the first half of z and no in the second: with the mirror image it is a tie, which is background."""
    answer = np.repeat([1, 0], 8)
    found = answering(tmp_path, answer)
    assert found[0] == 1 and found[-1] == 0
    assert not answering(tmp_path, answer, mirrors=["z"]).any()
    np.testing.assert_array_equal(answering(tmp_path, answer, mirrors=["x"]), found)


MASKED = {"of": "kidney", "crop": "kidneys", "margin": 2, "voxels": "scan"}


def three(result=("kidney", "tumour"), **region):
    return cascade(
        stage("coarse", COARSE, [[1, 2]], {"body": True}),
        stage("kidney", SAMPLINGS["slabs at another spacing"], [[1, 2]], {"of": "coarse", "crop": "box"}),
        stage("tumour", SAMPLINGS["stacks"], [[2]], MASKED | region),
        result=list(result),
    )


def with_calcification():
    """Bright as a tumour, beside a kidney: in its region, but outside its mask."""
    hu = make_hu(LABELS)
    hu[18:23, 44:50, 43:47] = np.where(LABELS[18:23, 44:50, 43:47] > 0, KIDNEY, TUMOUR)
    outside = np.zeros(SHAPE, bool)
    outside[18:23, 44:50, 43:47] = LABELS[18:23, 44:50, 43:47] == 0
    return hu, outside


def test_three_stages_are_painted_into_one_result(tmp_path):
    result, _ = run(tmp_path, three(masked=True, confined=True))
    check(result.mask)
    assert set(result.stages) == {"coarse", "kidney", "tumour"} and len(result.rois["tumour"]) == 2
    kidney, tumour = result.stages["kidney"].mask, result.stages["tumour"].mask
    assert set(np.unique(kidney)) == {0, 1} and set(np.unique(tumour)) == {0, 2}
    np.testing.assert_array_equal(result.mask, np.where(tumour > 0, tumour, kidney))
    assert result.stages["coarse"].grid.shape == (32, 64, 64)
    assert result.stages["kidney"].grid == result.stages["tumour"].grid == Grid(SHAPE)
    last, _ = run(tmp_path, three(result=()))
    np.testing.assert_array_equal(last.mask, last.stages["tumour"].mask)


def test_the_result_is_cleaned_as_a_whole(tmp_path):
    recipe = three(masked=True)
    cleaned = cascade(
        *recipe.model_dump(mode="json", exclude_none=True)["stages"],
        result=["kidney", "tumour"],
        components=[{"labels": [1, 2], "largest": 1}],
    )
    whole, _ = run(tmp_path, recipe)
    result, _ = run(tmp_path, cleaned)
    sides = [np.count_nonzero(whole.mask[..., :60]), np.count_nonzero(whole.mask[..., 60:])]
    assert np.count_nonzero(result.mask) == max(sides) < sum(sides)


@pytest.mark.parametrize(
    "region, kept",
    [
        ({}, True),
        ({"confined": True}, False),
        ({"masked": True}, False),
        ({"confined": True, "grow": 20}, True),
        ({"masked": True, "grow": 20}, True),
    ],
)
def test_what_lies_outside_the_earlier_mask(tmp_path, region, kept):
    """A calcification is called tumour, unless the image or the answer ends at the kidney."""
    hu, outside = with_calcification()
    recipe = cascade(
        stage("kidney", SAMPLINGS["slices"], [[1, 2]], {"body": False}),
        stage(
            "tumour",
            SAMPLINGS["slices"],
            [[2]],
            {"of": "kidney", "crop": "kidneys", "margin": 6, "voxels": "scan"} | region,
        ),
        result=["kidney", "tumour"],
    )
    model = make_model(recipe)
    truth = (LABELS > 0).astype(np.uint8)  # the kidney stage's own answer would hold the calcification, too
    seen = []
    inner = model.runtimes["tumour"]
    model.runtimes["tumour"] = lambda images: (seen.append(images), inner(images))[1]
    result = model.segment(read_saved(tmp_path, hu, SPACING), oracle=truth)
    assert (result.stages["tumour"].mask[outside] == 2).any() == kept
    assert (result.stages["tumour"].mask[(LABELS == 0) & ~outside] == 2).sum() < 20
    assert dice(result.stages["tumour"].mask[LABELS > 0] == 2, LABELS[LABELS > 0] == 2) > 0.9
    spec = recipe.stage("tumour").intensity
    hidden = np.isclose(np.concatenate(seen), normalise(np.zeros(1, np.uint8), spec.mean, spec.std)[0]).mean()
    assert (hidden > 0.3) == ("masked" in region and "grow" not in region)


@pytest.mark.parametrize(
    "region",
    [
        {"crop": "none", "confined": True},
        {"crop": "none", "masked": True},
        {"crop": "slices"},
        {"crop": "box"},
        {"crop": "kidneys"},
        {"crop": "extents"},
    ],
)
def test_where_the_earlier_stage_finds_nothing_there_is_nothing(tmp_path, region):
    recipe = cascade(
        stage("coarse", COARSE, [[1, 2]]),
        stage("fine", SAMPLINGS["slices"], [[1], [2]], {"of": "coarse"} | region),
        stage("finer", SAMPLINGS["whole"], [[2]], {"of": "fine"} | region),
    )
    with pytest.warns(UserWarning, match="no kidney found"):
        result, model = run(tmp_path, recipe, np.zeros(SHAPE, np.uint8))
    assert not result.mask.any() and result.rois == {"fine": [], "finer": []}
    assert model.runtimes["fine"].batches == model.runtimes["finer"].batches == []


def test_with_the_true_mask_only_stages_of_the_result_run(tmp_path):
    recipe = three(masked=True, confined=True)
    model = make_model(recipe)
    model.runtimes["coarse"] = None  # must not be asked
    result = model.segment(read_saved(tmp_path, make_hu(LABELS), SPACING), oracle=LABELS)
    check(result.mask)
    assert set(result.stages) == {"kidney", "tumour"}


@pytest.mark.parametrize("per_volume", [False, True])
@pytest.mark.parametrize(
    "sampling", [*SAMPLINGS.values(), {"size": [64, 64], "stack": 3}], ids=[*SAMPLINGS, "stacks of the scan's slices"]
)
def test_networks_see_in_inference_what_they_see_in_training(tmp_path, sampling, per_volume):
    """The same pixels, in the same order where windows do not overlap and a region is not longer than one."""
    large = {"spacing": SAMPLINGS["volumes"]["spacing"], "patch": [32, 64, 64], "stride": [32, 64, 64]}
    if "patch" in sampling:
        sampling = large
    elif "slices" in sampling:
        sampling = sampling | {"slices": 64, "stride": 64}
    recipe = two(sampling, masked=True, more={"intensity": {"per_volume": per_volume}})
    fine, model, seen = recipe.stage("fine"), make_model(recipe), []
    inner = model.runtimes["fine"]
    model.runtimes["fine"] = lambda images: (seen.extend(images), inner(images))[1]
    scan = read_saved(tmp_path, make_hu(LABELS), SPACING)
    model.segment(scan, oracle=LABELS)
    grids, samples = stage_samples(true_view(scan, LABELS, recipe, fine), LABELS)
    trained = [s.image for s in samples]
    if fine.dims == 2:
        numbers = np.concatenate(
            [
                first + stack_slices(grid.shape[0], fine.channels)
                for first, grid in zip(np.cumsum([0] + [grid.shape[0] for grid in grids]), grids)
            ]
        )
        trained = list(np.stack(trained)[numbers])
    expected = [normalise(image, *moments(image, fine.intensity)) for image in trained]
    np.testing.assert_array_equal(np.stack(seen), np.reshape(expected, np.stack(seen).shape))
    if per_volume:
        np.testing.assert_allclose([image.mean() for image in seen], 0, atol=1e-4)
        np.testing.assert_allclose([image.std() for image in seen if image.any()], 1, atol=1e-4)
