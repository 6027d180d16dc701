"""What the network sees: resampling by its coordinates, intensities by their definition."""

import numpy as np

from kidneyseg.benchmark.nnunet.images import Intensity, make_case, resampled, resampled_classes


def ramp(shape, axis):
    return np.broadcast_to(
        np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)]), shape
    )


def test_voxel_centres_go_where_the_outer_faces_stay():
    found = resampled(ramp((24, 6, 6), 0), (1, 1, 1), (1.5, 1, 1))
    assert found.shape == (16, 6, 6) and found.dtype == np.float32
    expected = (np.arange(16) + 0.5) * 1.5 - 0.5
    np.testing.assert_allclose(found[3:-3, 3, 3], expected[3:-3], atol=1e-3)


def test_nothing_is_made_up_between_long_voxels():
    found = resampled(ramp((6, 16, 16), 0) + ramp((6, 16, 16), 2), (5, 1, 1), (2.5, 2, 2))
    assert found.shape == (12, 8, 8)
    steps = np.diff(found[:, 4, 4])
    assert np.allclose(np.sort(np.unique(steps.round(3))), [0, 1])


def test_classes_keep_their_place_and_do_not_blend():
    classes = np.zeros((12, 24, 24), np.uint8)
    classes[3:9, 6:18, 6:18], classes[4:8, 8:16, 8:16] = 1, 2
    found = resampled_classes(classes, (1, 1, 1), (1, 2, 2))
    np.testing.assert_array_equal(found, classes[:, ::2, ::2])
    np.testing.assert_array_equal(resampled_classes(classes, (1, 1, 1), (1, 1, 1)), classes)


def test_intensities_of_the_foreground():
    hu = np.concatenate([np.full(10_000, 100.0), np.full(10_000, 200.0), [-5000.0, 9000.0]])
    intensity = Intensity.of(hu)
    assert (intensity.low, intensity.high) == (100, 200)
    found = intensity.normalised(np.array([-1000.0, 100, 200, 3000]))
    assert found.dtype == np.float32 and found[0] == found[1] and found[2] == found[3]
    assert np.isclose(found[2] - found[1], 100 / hu.std())


def test_voxels_of_every_class_there_is():
    classes = np.zeros((4, 4, 4), np.uint8)
    classes[1, 2, 3] = 2
    case = make_case(classes.astype(np.float32), classes, np.random.default_rng(0))
    assert [voxels.tolist() for voxels in case.voxels] == [[[1, 2, 3]]]
