import numpy as np
import pytest

from kidneyseg.metrics.surfels import surfel_areas

SPACINGS = [(1, 1, 1), (3.22, 1.62, 1.62), (5, 0.7, 0.9), (0.4, 2.5, 1.1)]


def code(*voxels):
    """Neighbour code of a cell in which these (z, y, x) voxels are set."""
    return sum(128 >> (4 * z + 2 * y + x) for z, y, x in voxels)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_equals_surface_distance(spacing):
    tables = pytest.importorskip("surface_distance.lookup_tables")
    expected = tables.create_table_neighbour_code_to_surface_area(spacing)
    np.testing.assert_allclose(surfel_areas(spacing), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_plane_and_corner_have_their_areas(spacing):
    z, y, x = spacing
    areas = surfel_areas(spacing)
    assert areas[0] == areas[255] == 0
    assert areas[code((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1))] == pytest.approx(y * x)
    assert areas[code((0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1))] == pytest.approx(z * x)
    a, b, c = (np.hypot(z, y) / 2, np.hypot(y, x) / 2, np.hypot(z, x) / 2)
    half = (a + b + c) / 2  # Heron
    assert areas[code((1, 0, 1))] == pytest.approx(np.sqrt(half * (half - a) * (half - b) * (half - c)))


def test_inside_and_outside_have_the_same_surface():
    areas = surfel_areas((1.5, 0.7, 0.9))
    np.testing.assert_allclose(areas, areas[::-1], atol=1e-12)
