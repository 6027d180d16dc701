"""`kidneyseg export --int8`: calibrated on scans, described and read again; other forms have tests of their own."""

import json

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, save_scan
from tiny_model import save_tiny_model

from kidneyseg import cli
from kidneyseg.export.package import read_package

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder)
    return str(folder)


def test_int8_graphs_are_described_as_such(model, tmp_path, capsys):
    labels = make_labels(SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 8))])
    noise = np.random.default_rng(0).integers(-60, 61, SHAPE, np.int16)
    scan = str(save_scan(tmp_path / "ct.nii.gz", make_hu(labels) + noise, SPACING))
    arguments = ["-m", model, "--format", "onnx", "--batch", "dynamic", "-o", str(tmp_path / "out")]
    assert cli.main(["export", *arguments, "--int8", scan]) == 0
    assert capsys.readouterr().out.count("% of the calibration voxels") == 2
    package = read_package(tmp_path / "out", ["ONNX"])
    for stage, graph in package.graphs.items():
        assert graph.precision == "int8" and graph.input.dtype == "float32"
        assert graph.operators["QuantizeLinear"] > 2 and graph.operators["DequantizeLinear"] > 2
        told = json.loads((tmp_path / "out" / f"{stage}.dynamic.onnx.json").read_text())
        assert told["precision"] == "int8" and told["operators"] == graph.operators


@pytest.mark.parametrize("form", [[], ["--format", "onnx", "--uint8"], ["--format", "onnx", "--float16"]])
def test_int8_is_of_onnx_in_float32(model, tmp_path, capsys, form):
    assert cli.main(["export", "-m", model, "-o", str(tmp_path / "out"), *form, "--int8", model]) == 2
    assert "--int8: expected --format onnx, without" in capsys.readouterr().err and not (tmp_path / "out").exists()
