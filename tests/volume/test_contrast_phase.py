from __future__ import annotations

import numpy as np
import pytest

from kidneyseg.volume.contrast_phase import NAMES, Curve, Phase, change_phase, draw_phase


def body() -> tuple[np.ndarray, np.ndarray]:
    """A slice: fat, a liver of 110 HU, a vertebra of 300 with marrow of 150, a kidney of 180 with a cyst of 8."""
    hu = np.full((3, 96, 96), -100.0)
    hu[:, 5:30, 5:60] = 110
    hu[:, 60:80, 38:58] = 300
    hu[:, 64:76, 42:54] = 150
    kidney = np.zeros(hu.shape, bool)
    kidney[:, 50:80, 68:90] = True
    hu[kidney] = 180
    hu[:, 70:76, 76:84] = 8
    return hu, kidney


def changed(name: str, seed: int = 0) -> np.ndarray:
    return change_phase(*body(), draw_phase(name, np.random.default_rng(seed)), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_without_contrast_organs_have_the_hu_of_unenhanced_ct(seed):
    hu = changed("unenhanced", seed)
    assert 20 < hu[:, 52:66, 70:88].mean() < 55  # kidney
    assert 40 < hu[:, 8:27, 8:57].mean() < 75  # liver
    assert 5 < hu[:, 8:27, 8:57].std() < 25  # it is not smooth


@pytest.mark.parametrize("name", NAMES)
def test_what_takes_up_no_contrast_stays(name):
    before, after = body()[0], changed(name)
    for part in (np.s_[:, 35:48, 5:60], np.s_[:, 64:76, 42:54], np.s_[:, 72:74, 79:81]):  # fat, marrow, cyst
        np.testing.assert_allclose(after[part], before[part], atol=1)


def test_corticomedullary_cortex_is_brighter_than_medulla():
    hu = changed("corticomedullary")
    assert hu[:, 52:78, 69:71].mean() > 170 > 130 > hu[:, 60:66, 77:81].mean()


def test_weak_contrast_lies_between_none_and_full():
    kidney = np.s_[:, 54:66, 71:87]
    assert changed("unenhanced")[kidney].mean() < changed("weak")[kidney].mean() < 180


def test_a_slice_is_changed_as_in_its_volume():
    hu, kidney = body()
    phase = Phase(Curve(30, 0.1), Curve(30, 0.1), Curve(50, 0.1), noise=0)
    volume = change_phase(hu, kidney, phase, np.random.default_rng(0))
    np.testing.assert_array_equal(volume[1], change_phase(hu[1], kidney[1], phase, np.random.default_rng(0)))


def test_a_phase_that_keeps_all_changes_nothing():
    hu, kidney = body()
    same = Curve(40, 1.0)
    np.testing.assert_allclose(
        change_phase(hu, kidney, Phase(same, same, same, 20), np.random.default_rng(0)), hu, atol=1e-3
    )


def test_an_unknown_phase():
    with pytest.raises(ValueError, match="no phase"):
        draw_phase("venous", np.random.default_rng(0))
