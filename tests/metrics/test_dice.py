import numpy as np
import pytest

from kidneyseg.metrics.dice import dice


def test_half_overlapping_boxes():
    a, b = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    a[:2], b[1:3] = True, True
    assert dice(a, b) == pytest.approx(0.5)


def test_empty_masks():
    empty, full = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == dice(full, empty) == 0


def test_symmetric_and_one_for_identity():
    a, b = np.random.default_rng(0).random((2, 8, 9, 10)) < 0.4
    assert dice(a, b) == dice(b, a)
    assert 0 < dice(a, b) < 1
    assert dice(a, a) == 1


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(np.ones((2, 2), bool), np.ones((2, 1), bool))
