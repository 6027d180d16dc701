from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.volume.body import body_box


def cylinder(shape=(40, 256, 256), centre=(120, 130), radii=(70, 90), hu=40) -> np.ndarray:
    """Air at -1000 HU with an elliptic cylinder through all slices."""
    y, x = np.ogrid[: shape[1], : shape[2]]
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
    return np.where(inside, hu, -1000).astype(np.int16)[None].repeat(shape[0], 0)


def assert_tight(box, truth, slack):
    for got, (start, stop) in zip(box, truth):
        assert start - slack <= got.start <= start and stop <= got.stop <= stop + slack


def test_air_table_and_lungs():
    hu = cylinder()
    y, x = np.ogrid[:256, :256]
    hu[:, ((y - 110) / 30) ** 2 + ((x - 100) / 25) ** 2 <= 1] = -850  # a lung inside
    hu[:, 191:194, 20:236] = 100  # a table that the body touches
    hu[:, 230:233, :] = 100  # and one that it does not
    assert_tight(body_box(hu), [(0, 40), (50, 191), (40, 221)], slack=10)


def test_padding_slices_are_cut():
    hu = cylinder()
    hu[:7] = hu[30:] = -3024
    box = body_box(hu)
    assert_tight(box, [(7, 30), (50, 191), (40, 221)], slack=10)


def test_body_that_fills_the_field_of_view_is_kept_whole():
    hu = cylinder(radii=(400, 400))
    assert body_box(hu) == (slice(0, 40), slice(0, 256), slice(0, 256))


@pytest.mark.parametrize("value", [-1000, 40])
def test_uniform_volume_is_kept_whole(value):
    assert body_box(np.full((5, 6, 7), value, np.int16)) == (slice(0, 5), slice(0, 6), slice(0, 7))


def test_a_body_too_small_to_open_is_still_found():
    hu = np.full((20, 40, 40), -1000, np.int16)
    hu[8:11, 20:22, 20:22] = 30
    assert_tight(body_box(hu), [(8, 11), (20, 22), (20, 22)], slack=1)
