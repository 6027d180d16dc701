import cv2
import numpy as np
import pytest
from scipy import ndimage as ndi

from kidneyseg.report.overlay import AXIAL, CORONAL, SAGITTAL, STRUCTURES, overlay

SPACING = (4.0, 1.0, 1.5)


def scene():
    """A bright patient-left kidney with a tumour at its anterior side, in a body of 40 HU."""
    image = np.full((20, 60, 60), -1000, np.int16)
    image[:, 10:50, 5:55] = 40
    mask = np.zeros(image.shape, np.uint8)
    mask[4:16, 28:44, 36:48] = 1
    mask[8:12, 24:32, 38:46] = 2
    image[mask == 1] = 200
    return image, mask


def pixels(path, colour):
    """Where the picture has ``colour`` (anti-aliased neighbours excluded), (rows, columns) bool."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    picture = cv2.imread(str(path))[..., ::-1].astype(int)
    return (abs(picture - rgb) <= 12).all(axis=-1)


def first_panel(found):
    """The part of the picture in which the first axial slice is."""
    return found[: found.shape[0] // 2, : found.shape[1] // 3]


def test_contours_of_what_is_there_in_their_colours(tmp_path):
    image, mask = scene()
    path = overlay(image, {"prediction": mask}, SPACING, tmp_path / "a.png")
    assert pixels(path, STRUCTURES["kidney"][1]).sum() > 500
    assert pixels(path, STRUCTURES["tumour"][1]).sum() > 200
    assert not pixels(path, STRUCTURES["cyst"][1]).any()
    kidney_only = overlay(image, {"prediction": np.minimum(mask, 1)}, SPACING, tmp_path / "b.png")
    assert not pixels(kidney_only, STRUCTURES["tumour"][1]).any()


def test_contour_lies_on_the_border_of_the_bright_kidney(tmp_path):
    """In the first panel the kidney is the only bright thing: its contour must go round exactly that."""
    image, mask = scene()
    path = overlay(image, {"prediction": np.minimum(mask, 1)}, SPACING, tmp_path / "a.png", window=(100, 100))
    contour = np.argwhere(first_panel(pixels(path, STRUCTURES["kidney"][1])))
    pieces, count = ndi.label(first_panel(pixels(path, "#ffffff")))
    bright = np.argwhere(pieces == 1 + np.argmax([(pieces == n + 1).sum() for n in range(count)]))  # not the heading
    np.testing.assert_allclose(contour.min(axis=0), bright.min(axis=0), atol=4)
    np.testing.assert_allclose(contour.max(axis=0), bright.max(axis=0), atol=4)
    # Patient left is on the right, and pixels of 1 x 1.5 mm keep their shape: 16 x 12 of them are 16 by 18 mm.
    rows, columns = np.ptp(contour, axis=0)
    assert contour[:, 1].min() > pieces.shape[1] / 2
    assert columns / rows == pytest.approx(18 / 16, rel=0.03)


def test_truth_is_dashed_and_prediction_solid(tmp_path):
    image, mask = scene()
    mask = np.minimum(mask, 1)
    both = {"truth": mask, "prediction": np.zeros_like(mask)}
    dashed = pixels(overlay(image, both, SPACING, tmp_path / "dashed.png"), STRUCTURES["kidney"][1])
    both = {"truth": np.zeros_like(mask), "prediction": mask}
    solid = pixels(overlay(image, both, SPACING, tmp_path / "solid.png"), STRUCTURES["kidney"][1])
    assert 0.3 < first_panel(dashed).sum() / first_panel(solid).sum() < 0.85


def test_planes_show_superior_at_the_top_and_left_at_the_right():
    volume = np.zeros((3, 4, 5))
    volume[2, 1, 4] = 1  # superior, left
    assert AXIAL.cut(volume, 2)[1, 4] == 1
    assert CORONAL.cut(volume, 1)[0, 4] == 1 and CORONAL.pixel(SPACING) == (4.0, 1.5)
    assert SAGITTAL.cut(volume, 4)[0, 1] == 1 and SAGITTAL.pixel(SPACING) == (4.0, 1.0)


def test_empty_mask_gives_a_picture(tmp_path):
    image, mask = scene()
    path = overlay(image, {"prediction": mask * 0}, SPACING, tmp_path / "new" / "a.png", title="nothing found")
    assert cv2.imread(str(path)).shape == (990, 1430, 3)
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_bad_masks(tmp_path):
    image, mask = scene()
    for masks in ({}, {"a": mask[1:]}, dict.fromkeys("abcd", mask)):
        with pytest.raises(ValueError, match="one to three masks"):
            overlay(image, masks, SPACING, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
