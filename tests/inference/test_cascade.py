"""The cascade with runtimes that know the answer: whatever is lost is lost by geometry."""

import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from cascade_doubles import FAT, dice, make_hu, make_labels, make_model, make_recipe, read_saved, save_scan
from views import true_view

from kidneyseg.inference.cascade import cleaned
from kidneyseg.inference.model import Model
from kidneyseg.preprocessing.stage_view import StageView
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.intensity import normalise
from kidneyseg.volume.nifti import read_image, write_mask

SHAPE, SPACING = (40, 100, 120), (3.0, 1.2, 1.2)
LEFT = ((20, 55, 90), (9, 14, 12))
RIGHT = ((18, 55, 30), (10, 13, 12))
BUMP = ((22, 66, 90), (4, 6, 6))


def run(tmp_path, labels, recipe=None, **options):
    model = make_model(recipe or make_recipe())
    return model.segment(read_saved(tmp_path, make_hu(labels), SPACING), **options), model


def check(mask, labels):
    assert mask.dtype == np.uint8 and mask.shape == labels.shape
    assert dice(mask > 0, labels > 0) > 0.95
    if (labels == 2).any():
        assert dice(mask == 2, labels == 2) > 0.9


@pytest.mark.parametrize(
    "kidneys, rois",
    [
        ([LEFT, RIGHT], 2),
        ([LEFT], 1),
        ([LEFT, RIGHT, ((34, 20, 60), (4, 8, 10))], 3),  # a third, a transplant
        ([((2, 50, 100), (9, 14, 25)), ((38, 50, 20), (10, 13, 25))], 2),  # cut off by every border of the scan
    ],
)
def test_finds_every_kidney(tmp_path, kidneys, rois):
    labels = make_labels(SHAPE, kidneys, [BUMP] if LEFT in kidneys else [])
    result, model = run(tmp_path, labels, make_recipe(gap=4))
    check(result.mask, labels)
    assert len(result.rois["fine"]) == rois
    assert set(result.stages) == {"coarse", "fine"} and set(result.seconds) == {"coarse", "fine", "components"}
    assert {shape[2:] for shape in model.runtimes["coarse"].batches} == {(16, 32, 32)}
    assert {shape[2:] for shape in model.runtimes["fine"].batches} == {(64, 64)}


def test_no_kidney_gives_an_empty_mask_and_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="scan.nii.gz: no kidney found"):
        result, model = run(tmp_path, np.zeros(SHAPE, np.uint8))
    assert not result.mask.any() and result.mask.shape == SHAPE
    assert result.rois["fine"] == [] and model.runtimes["fine"].batches == []


def test_components_of_a_tilted_scan_are_measured_with_the_determinant(tmp_path):
    """A cube of 8 ml whose slices lean by 45 degrees: a box of its edges has 11.3 ml."""
    scan = read_saved(tmp_path, make_hu(np.zeros((6, 20, 20), np.uint8)), (5.0, 5.0, 5.0))
    affine = scan.affine.copy()
    affine[1, 0] += 5
    tilted = replace(scan, affine=affine, spacing=tuple(np.linalg.norm(affine[:3, :3], axis=0)))
    mask = np.zeros((3, 20, 20), np.uint8)  # of slices twice as thick
    mask[:2, 5:9, 5:9] = 1
    for ml, kept in ((7.9, True), (8.1, False)):
        stage = make_recipe(components=[{"labels": [1], "min_ml": ml}]).stages[0]
        view = StageView(tilted, stage, (), Grid.of(scan.array).resize(mask.shape))
        assert cleaned(view, mask).mask.any() == kept


@pytest.mark.parametrize("shape", [(1, 100, 120), (3, 20, 20)])
def test_scans_smaller_than_a_window(tmp_path, shape):
    labels = make_labels(shape, [((shape[0] // 2, shape[1] // 2, shape[2] // 2), (2, 6, 6))])
    result, _ = run(tmp_path, labels)
    assert dice(result.mask > 0, labels > 0) > 0.85


ORIENTATIONS = [
    ((2, 1, 0), (False, False, False)),
    ((2, 1, 0), (True, True, False)),
    ((0, 1, 2), (True, False, True)),
    ((1, 0, 2), (False, True, True)),
    ((0, 2, 1), (True, True, True)),
]


@pytest.mark.parametrize("axes, flips", ORIENTATIONS)
def test_mask_comes_back_in_the_files_own_orientation(tmp_path, axes, flips):
    labels = make_labels(SHAPE, [LEFT, RIGHT], [BUMP])
    path = save_scan(tmp_path / "scan.nii.gz", make_hu(labels), SPACING, axes, flips)
    truth = nib.load(save_scan(tmp_path / "truth.nii.gz", labels, SPACING, axes, flips))
    scan = read_image(path)
    write_mask(tmp_path / "mask.nii.gz", make_model(make_recipe()).segment(scan).mask, scan)
    written, given = nib.load(tmp_path / "mask.nii.gz"), nib.load(path)
    assert written.shape == given.shape and written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(written.affine, given.affine)
    assert nib.aff2axcodes(written.affine) == nib.aff2axcodes(given.affine)
    check(np.asarray(written.dataobj), np.asarray(truth.dataobj))


def box_labels():
    """One kidney of 20 x 26 x 34 voxels with a tumour of 6 x 6 x 6."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:30, 30:56, 40:74] = 1
    labels[12:18, 32:38, 42:48] = 2
    return labels


def test_exact_where_nothing_is_resampled(tmp_path):
    """Stage grid = scan grid; slices of the ROI's own size (26 + 2 * 3, 34 + 2 * 3)."""
    labels = box_labels()
    recipe = make_recipe(size=(32, 40), spacing=SPACING, region={"body": False})
    result, _ = run(tmp_path, labels, recipe)
    np.testing.assert_array_equal(result.mask, labels)
    assert result.stages["coarse"].grid == Grid(SHAPE)
    assert result.rois["fine"] == [Grid((26, 32, 40), (7.0, 27.0, 37.0))]


def test_overlapping_rois_share_their_probabilities(tmp_path):
    """Two boxes nearer than their margins: voxels in both are decided by both, and the others by one."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:30, 30:50, 40:60] = 1
    labels[10:30, 30:50, 64:80] = 1
    labels[12:18, 32:38, 65:70] = 2
    recipe = make_recipe(spacing=SPACING, region={"body": False}, gap=2, margin=6)
    result, _ = run(tmp_path, labels, recipe)
    first, second = result.rois["fine"]
    assert first.origin[2] + first.shape[2] > second.origin[2]
    check(result.mask, labels)


def test_mean_of_overlapping_rois_decides(tmp_path):
    """One ROI is sure (0.9) of kidney, the other a little (0.6) of tumour: together they say kidney."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:30, 30:50, 40:60] = 1
    labels[10:30, 30:50, 64:84] = 1
    recipe = make_recipe(size=(32, 32), spacing=SPACING, region={"body": False}, gap=2, margin=6)
    model = make_model(recipe)
    answers = iter(np.float32([[0.05, 0.9, 0.05], [0.05, 0.35, 0.6]]).repeat(7, axis=0))  # 32 slices in batches of 5
    model.runtimes["fine"] = lambda images: np.broadcast_to(
        next(answers)[None, :, None, None], (len(images), 3, *images.shape[2:])
    )
    result = model.segment(read_saved(tmp_path, make_hu(labels), SPACING))
    assert [roi.origin[2] for roi in result.rois["fine"]] == [34, 58] and result.rois["fine"][0].shape[2] == 32
    row = result.mask[20, 40]
    assert (row[34:66] == 1).all() and (row[66:90] == 2).all() and not row[:34].any() and not row[90:].any()


def test_oracle_takes_rois_from_the_true_mask(tmp_path):
    """The coarse stage sees nothing (its network is blind), the fine stage is judged alone."""
    labels = make_labels(SHAPE, [LEFT, RIGHT], [BUMP])
    model = make_model(make_recipe())
    model.runtimes["coarse"] = None  # must not be asked
    result = model.segment(read_saved(tmp_path, make_hu(labels), SPACING), oracle=labels)
    check(result.mask, labels)
    assert len(result.rois["fine"]) == 2
    with pytest.raises(ValueError, match="does not fit a scan"):
        model.segment(read_saved(tmp_path, make_hu(labels), SPACING), oracle=labels[1:])


def test_stage_and_final_components_are_applied(tmp_path):
    """A speck the coarse stage drops gets no ROI; a speck inside an ROI is dropped at the end; a hole is filled."""
    labels = make_labels(SHAPE, [LEFT], [])
    labels[5:8, 10:14, 10:14] = 1  # far away
    inside = labels.copy()
    inside[20, 55, 90] = 0
    recipe = make_recipe(components=[{"labels": [1], "min_fraction": 0.05}])
    recipe = recipe.model_copy(
        update={
            "components": make_recipe(components=[{"labels": [1, 2], "fill_holes": True, "min_fraction": 0.2}])
            .stages[0]
            .components
        }
    )
    result, _ = run(tmp_path, inside, recipe)
    assert len(result.rois["fine"]) == 1
    assert result.mask[20, 55, 90] == 1
    expected = make_labels(SHAPE, [LEFT])
    assert dice(result.mask > 0, expected > 0) > 0.95


def test_progress_counts_every_window_and_slice(tmp_path):
    done = {"coarse": 0, "fine": 0}

    def progress(stage, count):
        done[stage] += count

    labels = make_labels(SHAPE, [LEFT, RIGHT])
    result, model = run(tmp_path, labels, progress=progress)
    assert done == {name: sum(s[0] for s in runtime.batches) for name, runtime in model.runtimes.items()}
    assert done["fine"] == sum(roi.shape[0] for roi in result.rois["fine"])


def test_a_last_stage_on_volumes_yields_its_mask_on_the_scan(tmp_path):
    recipe = make_recipe()
    recipe = recipe.model_copy(update={"stages": recipe.stages[:1]})
    labels = make_labels(SHAPE, [LEFT, RIGHT])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result, _ = run(tmp_path, labels, recipe)
    assert dice(result.mask > 0, labels > 0) > 0.95
    assert result.stages["coarse"].grid == Grid(SHAPE)


def test_coarse_stage_of_an_earlier_grid_stays_on_it(tmp_path):
    labels = make_labels(SHAPE, [LEFT, RIGHT])
    result, _ = run(tmp_path, labels)
    grid = result.stages["coarse"].grid
    assert grid.shape == result.stages["coarse"].mask.shape != SHAPE
    np.testing.assert_allclose(grid.spacing(SPACING), (3.22, 1.62, 1.62), rtol=0.05)


def test_body_crop_does_not_move_the_mask(tmp_path):
    """Kidneys in a small body in a corner of a large field of air."""
    labels = make_labels((40, 60, 70), [((20, 30, 45), (9, 10, 10))])
    hu = np.full((40, 160, 180), -1000, np.int16)
    hu[:, 90:150, 100:170] = np.where(make_hu(labels) == -1000, FAT, make_hu(labels))
    truth = np.zeros(hu.shape, bool)
    truth[:, 90:150, 100:170] = labels > 0
    result = make_model(make_recipe()).segment(read_saved(tmp_path, hu, SPACING))
    assert result.stages["coarse"].grid.origin[1] > 50
    assert dice(result.mask > 0, truth) > 0.95


def test_oracle_rois_are_those_of_the_training_data(tmp_path):
    labels = make_labels(SHAPE, [LEFT, RIGHT], [BUMP])
    recipe = make_recipe()
    scan = read_saved(tmp_path, make_hu(labels), SPACING)
    result = make_model(recipe).segment(scan, oracle=labels)
    grids, _ = stage_samples(true_view(scan, labels, recipe, recipe.stage("fine")), labels)
    assert [roi.resize((roi.shape[0], 64, 64)) for roi in result.rois["fine"]] == grids


def test_network_sees_in_inference_what_it_saw_in_training(tmp_path):
    """The same pixels: slices of the fine stage, and the one window of a coarse stage that holds the whole scan."""
    labels = make_labels(SHAPE, [LEFT], [BUMP])
    recipe = make_recipe(patch=(64, 96, 96))
    scan, model, seen = read_saved(tmp_path, make_hu(labels), SPACING), make_model(recipe), {"coarse": [], "fine": []}
    for stage in recipe.stages:

        def runtime(images, name=stage.name, inner=model.runtimes[stage.name]):
            seen[name].extend(images[:, 0])
            return inner(images)

        model.runtimes[stage.name] = runtime
    last_only = recipe.model_copy(update={"stages": recipe.stages[:1]})
    model.segment(scan, oracle=labels)
    Model(last_only, model.runtimes).segment(scan)
    for stage in recipe.stages:
        _, samples = stage_samples(true_view(scan, labels, recipe, stage), labels)
        trained = [normalise(s.image, stage.intensity.mean, stage.intensity.std) for s in samples]
        np.testing.assert_array_equal(np.stack(seen[stage.name]), np.stack(trained))
