import json

import cv2
import numpy as np
import pytest

from kidneyseg.metrics.summary import score_fold
from kidneyseg.report import colours, plots


def log(path, epochs=6, tail=""):
    rows = [
        {
            "epoch": e,
            "step": 10 * e,
            "loss": 1 / (e + 1),
            "lr": 1e-3,
            "samples_per_s": 2.0,
            **({"val_loss": 1.2 / (e + 1), "val_dice": {"kidney": e / 10}} if e % 2 else {}),
        }
        for e in range(epochs)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def shows(path, colour):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (abs(cv2.imread(str(path))[..., ::-1].astype(int) - rgb) <= 8).all(axis=-1)


def test_curves_of_two_stages(tmp_path):
    logs = {"coarse": log(tmp_path / "a.jsonl"), "fine": log(tmp_path / "b.jsonl", tail='{"epo')}
    path = plots.curves(logs, tmp_path / "curves.png")
    third = shows(path, colours.LINES[0]).shape[1] // 3
    for panel in range(3):
        for colour in colours.LINES[:2] if panel == 2 else colours.LINES[1:2]:  # equal curves lie on each other
            assert shows(path, colour)[:, panel * third : (panel + 1) * third].any()


def test_a_falling_loss_falls(tmp_path):
    path = plots.curves({"coarse": log(tmp_path / "a.jsonl")}, tmp_path / "curves.png")
    found = shows(path, colours.LINES[0])
    panel = found[:, : found.shape[1] // 3]
    rows, columns = np.nonzero(panel[60:])
    assert rows[columns == columns.min()].min() < rows[columns == columns.max()].max()


def test_no_logs(tmp_path):
    with pytest.raises(ValueError, match="no training log"):
        plots.curves({}, tmp_path / "c.png")


def test_a_log_without_epochs_gives_a_picture(tmp_path):
    assert plots.curves({"coarse": log(tmp_path / "a.jsonl", epochs=0)}, tmp_path / "c.png").exists()


def test_boxplot_has_each_name_in_its_colour(tmp_path):
    one = score_fold([{"case": str(i), "kidney": 0.8 + i / 50, "hd95_tumour": float("nan")} for i in range(5)])
    keys = ("kidney", "hd95_tumour")
    path = plots.boxplot({"predicted ROIs": one, "true ROIs": one}, tmp_path / "b.png", keys)
    first, second = (shows(path, colour) for colour in colours.LINES[:2])
    border = int(0.56 * first.shape[1])  # of the two panels; the names stand left of both
    assert first[:, :border].any() and second[:, :border].any()
    assert not first[:, border:].any()  # no case has a distance: no dots
    assert np.nonzero(first.any(1))[0].max() < np.nonzero(second.any(1))[0].min()  # the first name on top
    with pytest.raises(ValueError, match="no scores"):
        plots.boxplot({}, tmp_path / "b.png")
