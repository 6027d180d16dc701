import numpy as np

from kidneyseg.report.slices import centre_of_interest, informative_slices


def scene():
    mask = np.zeros((40, 30, 30), np.uint8)
    mask[10:31, 10:20, 5:12] = 1
    mask[25:28, 12:16, 6:10] = 2
    return mask


def test_the_mass_is_shown_and_slices_keep_apart():
    slices = informative_slices({"prediction": scene()}, 3)
    assert len(slices) == 3 and slices == sorted(slices)
    assert any(25 <= index < 28 for index in slices)
    assert all(10 <= index < 31 for index in slices) and min(np.diff(slices)) > 3


def test_disagreement_is_shown():
    truth = scene()
    prediction = truth.copy()
    prediction[18, 10:20, 18:30] = 1
    assert 18 in informative_slices({"prediction": prediction, "truth": truth}, 2)


def test_few_or_no_slices():
    empty = np.zeros((9, 4, 4), np.uint8)
    assert informative_slices({"a": empty}, 3) == [2, 4, 6]
    one = empty.copy()
    one[7, 1:3, 1:3] = 1
    assert informative_slices({"a": one}, 3) == [7]


def test_centre_lies_in_the_mass_else_in_the_kidney_else_in_the_middle():
    mask = scene()
    assert mask[centre_of_interest({"a": mask})] == 2
    mask[mask == 2] = 1
    assert mask[centre_of_interest({"a": mask})] == 1
    assert centre_of_interest({"a": mask * 0}) == (20, 15, 15)


def test_centre_of_two_kidneys_is_not_between_them():
    mask = np.zeros((4, 10, 40), np.uint8)
    mask[:, :, :8] = mask[:, :, -8:] = 1
    assert mask[centre_of_interest({"a": mask})] == 1
