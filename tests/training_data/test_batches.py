from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.recipe import Intensity, Stage
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.mindrecord import write_records
from kidneyseg.training_data.prepared_case import PreparedCase, PreparedStage, case_folder, record_file, stage_settings
from kidneyseg.training_data.samples import Sample
from kidneyseg.training_data.training_batches import TrainingBatches
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.intensity import normalise

CASES = ["case_b", "case_a", "case_none", "case_c"]


def stage(**train) -> Stage:
    return Stage.model_validate(
        {
            "name": "coarse",
            "sampling": {"patch": [4, 8, 8], "stride": [4, 8, 8]},
            "targets": [[1, 2]],
            "network": {"name": "unet3d", "depth": 2},
            "loss": {"name": "dice_ce"},
            "train": train,
        }
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Prepared records of four cases, one without samples; 19 samples, each with its own first voxels as a name."""
    root, number = tmp_path_factory.mktemp("work"), 0
    for case, count in zip(CASES, [5, 8, 0, 6]):
        rng, rows = np.random.default_rng(count), []
        for _ in range(count):
            image = rng.integers(0, 256, (4, 8, 8), np.uint8)
            image[0, 0, 0] = number
            label = (image > 128).astype(np.uint8) * (number % 4 == 0)
            rows.append(Sample(image, label.astype(np.uint8), 0, (number, 0, 0)))
            number += 1
        folder = case_folder(root, case)
        folder.mkdir(parents=True)
        foreground = write_records(record_file(folder, case, "coarse"), case, rows)
        source = {"path": "ct.nii.gz", "bytes": 1, "modified": 2}
        PreparedCase(
            case,
            source,
            source,
            [4, 8, 8],
            [1.0, 1.0, 1.0],
            [1, 3] if case == "case_b" else [1],
            {"stages": {"coarse": stage_settings(stage())}},
            {"coarse": PreparedStage(foreground, [])},
        ).write(folder)
    return root


def batches(work, batch_size=4, train=True, cases=CASES, rank=0, ranks=1, seed=7, **settings) -> Batches:
    options = {"batch_size": batch_size, "rank": rank, "ranks": ranks}
    if train:
        return TrainingBatches(work, stage(**settings), cases, seed=seed, **options)
    return Batches(work, stage(**settings), cases, **options)


def assert_same(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second)
    for (image, target, names), (image2, target2, names2) in zip(first, second):
        np.testing.assert_array_equal(image, image2)
        np.testing.assert_array_equal(target, target2)
        assert names == names2


PLAIN = {"augment": {"flip": 0, "probability": 0}}


def numbers(found) -> list[int]:
    """Which samples came, by the number in their first voxel (unaugmented batches)."""
    return [int(round(v * 103.80 + 119.84)) for image, _, _ in found for v in image[:, 0, 0, 0, 0]]


def test_validation_gives_every_sample_once_in_order_unchanged(work):
    made = batches(work, train=False)
    found = list(made.epoch(0))
    assert made.steps == len(found) == 5 and [len(names) for _, _, names in found] == [4, 4, 4, 4, 3]
    assert numbers(found) == list(range(19))
    assert [name for _, _, names in found for name in names] == ["case_b"] * 5 + ["case_a"] * 8 + ["case_c"] * 6
    image, target, _ = found[0]
    assert image.shape == (4, 1, 4, 8, 8) and image.dtype == np.float32
    assert target.shape == (4, 4, 8, 8) and target.dtype == np.int32
    raw = np.random.default_rng(5).integers(0, 256, (4, 8, 8), np.uint8)
    raw[0, 0, 0] = 0
    np.testing.assert_array_equal(image[0, 0], normalise(raw, 119.84, 103.80))
    np.testing.assert_array_equal(target[0], raw > 128)


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_the_validation_batches_of_one_process(work, ranks):
    parts = [batches(work, train=False, rank=rank, ranks=ranks) for rank in range(ranks)]
    found = [list(part.epoch(0)) for part in parts]
    assert_same(batches(work, train=False).epoch(0), sum(found, []))
    assert {part.steps for part in parts} == {max(map(len, found))} and max(map(len, found)) <= -(-5 // ranks)


def test_training_epoch_is_a_shuffle_in_full_batches(work):
    made = batches(work, **PLAIN)
    first, second = numbers(made.epoch(0)), numbers(made.epoch(1))
    assert made.steps == 4 and len(first) == 16 == len(set(first))
    assert first != second and first != sorted(first) and set(first + second) == set(range(19))


def test_same_seed_same_epoch_other_seed_other(work):
    assert_same(batches(work).epoch(2), batches(work).epoch(2))
    assert numbers(batches(work, **PLAIN).epoch(2)) != numbers(batches(work, seed=8, **PLAIN).epoch(2))


@pytest.mark.parametrize("first_step", [1, 3, 4])
def test_an_epoch_resumed_goes_on_exactly(work, first_step):
    made = batches(work)
    assert_same(list(made.epoch(1))[first_step:], batches(work).epoch(1, first_step))


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_global_batch_of_one_process(work, ranks):
    one = list(batches(work, batch_size=8).epoch(3))
    parts = [list(batches(work, batch_size=8 // ranks, rank=rank, ranks=ranks).epoch(3)) for rank in range(ranks)]
    together = [
        (np.concatenate([p[0] for p in step]), np.concatenate([p[1] for p in step]), sum((p[2] for p in step), []))
        for step in zip(*parts)
    ]
    assert_same(one, together)


def test_ranks_see_disjoint_samples(work):
    seen = [set(numbers(batches(work, rank=rank, ranks=2, **PLAIN).epoch(0))) for rank in range(2)]
    assert len(seen[0]) == len(seen[1]) == 8 and not seen[0] & seen[1]


def test_augmentation_changes_image_and_target_and_differs_between_epochs(work):
    always = {"augment": {"flip": 1.0, "probability": 1.0}}
    plain, changed = (next(batches(work, **settings).epoch(0)) for settings in (PLAIN, always))
    assert plain[2] == changed[2]
    assert (plain[0] != changed[0]).mean() > 0.9 and (plain[1] != changed[1]).any()


def test_sampler_share_and_length(work):
    made = batches(work, batch_size=8, sampler={"foreground": 0.5, "per_epoch": 40}, **PLAIN)
    found = list(made.epoch(0))
    assert made.steps == len(found) == 5 and made.samples == 40
    assert sum(n % 4 == 0 for n in numbers(found)) == 20


def test_fewer_samples_than_one_global_batch_still_make_a_step(work):
    made = batches(work, batch_size=8, cases=["case_b"], **PLAIN)
    [(image, _, names)] = made.epoch(0)
    assert made.steps == 1 and len(image) == 8 and set(names) == {"case_b"}


def test_an_epoch_may_be_left_early(work):
    epoch = batches(work).epoch(0)
    next(epoch)
    epoch.close()
    assert len(list(batches(work).epoch(0))) == 4


def test_cases_that_are_not_prepared_are_refused(work):
    with pytest.raises(InputError, match="case_x.*kidneyseg prepare"):
        batches(work, cases=["case_a", "case_x"])


def test_other_settings_are_refused(work):
    other = stage().model_copy(update={"targets": ((1,), (2,))})
    with pytest.raises(InputError, match="settings of stage 'coarse'"):
        TrainingBatches(work, other, CASES, seed=0, batch_size=2)


def test_cases_without_any_sample_are_refused(work):
    with pytest.raises(InputError, match="samples of stage 'coarse'"):
        batches(work, cases=["case_none"])


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """Slices of two cases, of ROIs of 4, 1 and 3 slices; every slice has its own number as intensity."""
    root, number, spec = tmp_path_factory.mktemp("slices"), 0, stack_stage()
    for case, depths in (("a", [4, 1]), ("b", [3])):
        rows = []
        for roi, depth in enumerate(depths):
            for z in range(depth):
                image = np.full((8, 8), 10 * number, np.uint8)
                rows.append(Sample(image, np.full((8, 8), number % 2, np.uint8), roi, (z, 0, 0)))
                number += 1
        folder = case_folder(root, case)
        folder.mkdir(parents=True)
        foreground = write_records(record_file(folder, case, "fine"), case, rows)
        source = {"path": "ct.nii.gz", "bytes": 1, "modified": 2}
        PreparedCase(
            case,
            source,
            source,
            [4, 8, 8],
            [1.0, 1.0, 1.0],
            [1],
            {"stages": {"fine": stage_settings(spec)}},
            {"fine": PreparedStage(foreground, [Grid((d, 8, 8)).to_dict() for d in depths])},
        ).write(folder)
    return root


def stack_stage(**changes) -> Stage:
    return Stage.model_validate(
        {
            "name": "fine",
            "sampling": {"size": [8, 8], "stack": 3},
            "targets": [[1, 2]],
            "network": {"name": "unet2d", "depth": 2},
            "loss": {"name": "dice_ce"},
        }
        | changes
    )


STACKS = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3], [4, 4, 4], [5, 5, 6], [5, 6, 7], [6, 7, 7]]


def test_a_stack_is_the_slices_around_it_within_its_region(slices):
    found = list(Batches(slices, stack_stage(), ["a", "b"], batch_size=3).epoch(0))
    image = np.concatenate([batch[0] for batch in found])
    assert image.shape == (8, 3, 8, 8) and image.dtype == np.float32
    expected = normalise(np.uint8(STACKS) * 10, 119.84, 103.80)
    np.testing.assert_array_equal(image, np.broadcast_to(expected[..., None, None], image.shape))
    target = np.concatenate([batch[1] for batch in found])
    assert target.shape == (8, 8, 8) and target[:, 0, 0].tolist() == [n % 2 for n in range(8)]
    assert [name for batch in found for name in batch[2]] == ["a"] * 5 + ["b"] * 3


def test_shuffled_stacks_stay_together_and_may_be_resumed(slices):
    settings = stack_stage(train={"sampler": {"per_epoch": 24}, **PLAIN})
    made = TrainingBatches(slices, settings, ["a", "b"], seed=3, batch_size=4)
    found = list(made.epoch(0))
    middle = np.concatenate([np.rint(image[:, :, 0, 0] * 103.80 + 119.84).astype(int) // 10 for image, _, _ in found])
    assert len(middle) == 24 and {tuple(stack) for stack in middle.tolist()} == {tuple(stack) for stack in STACKS}
    np.testing.assert_array_equal(np.concatenate([target[:, 0, 0] for _, target, _ in found]), middle[:, 1] % 2)
    assert_same(found[4:], made.epoch(0, 4))


@pytest.mark.parametrize("train", [False, True])
def test_every_sample_may_be_normalised_by_itself(work, train):
    settings = stage(**PLAIN).model_copy(update={"intensity": Intensity(per_volume=True)})
    made = (
        TrainingBatches(work, settings, CASES, seed=7, batch_size=4)
        if train
        else Batches(work, settings, CASES, batch_size=4)
    )
    [*found] = made.epoch(0)
    images = np.concatenate([image for image, _, _ in found])
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3, 4)), 1, atol=1e-5)


def mining(work, **options):
    return batches(work, sampler={"mine": 0.5, "per_epoch": 160}, **options, **PLAIN)


def learn(made: TrainingBatches, epoch: int, first_step: int = 0, hard: int = 3) -> list[int]:
    """Go through an epoch as training does: a batch's loss is the share of sample ``hard`` in it; all numbers seen."""
    seen = []
    for step, found in enumerate(made.epoch(epoch, first_step), start=first_step):
        seen += numbers([found])
        made.record(step, 0.1 + numbers([found]).count(hard))
    made.end_epoch()
    return seen


def test_hard_samples_are_mined_from_the_second_epoch_on(work):
    made = mining(work, batch_size=1)
    counts = [np.bincount(learn(made, epoch), minlength=19) for epoch in range(3)]
    assert np.ptp(counts[0]) <= 1  # no loss is known yet
    expected = np.full(19, 80 / 19 + 80 * 0.1 / (1.1 + 18 * 0.1))
    expected[3] += 80 / (1.1 + 18 * 0.1)
    for later in counts[1:]:
        np.testing.assert_allclose(later, expected, atol=2)


def test_mining_resumed_goes_on_exactly(work):
    one, two = mining(work), mining(work)
    for made in (one, two):
        learn(made, 0)
    straight = learn(one, 1)
    for step, found in zip(range(15), two.epoch(1)):  # killed after 15 of 40 steps
        two.record(step, 0.1 + numbers([found]).count(3))
    resumed = mining(work)
    resumed.losses.state[...] = two.losses.state
    assert learn(resumed, 1, 15) == straight[60:]
    np.testing.assert_array_equal(resumed.losses.state, one.losses.state)
    assert learn(resumed, 2) == learn(one, 2)


def test_ranks_mine_the_same(work):
    made = [mining(work, batch_size=2, rank=rank, ranks=2) for rank in range(2)]
    alone = mining(work)
    for epoch in range(2):
        steps = zip(*(one.epoch(epoch) for one in (*made, alone)))
        for step, (first, second, whole) in enumerate(steps):
            assert numbers([first, second]) == numbers([whole])
            for one in (*made, alone):
                one.record(step, step % 5)
        for one in (*made, alone):
            one.end_epoch()


def test_cases_that_hold_a_label_come_more_often(work):
    made = batches(work, sampler={"labels": {3: 2, 1: 5}, "per_epoch": 480}, **PLAIN)  # only case_b holds 3; all hold 1
    times = np.bincount(numbers(made.epoch(0)), minlength=19)
    assert set(times[:5]) == {40} and set(times[5:]) == {20}
