"""Exported graphs, loaded again from their files, give what the checkpoints give."""

import hashlib
import json
import tempfile

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from tiny_model import save_tiny_model

from kidneyseg import cli, nets
from kidneyseg.inference.model import Model
from kidneyseg.model_folder.checkpoint import load_weights


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    recipe = save_tiny_model(folder / "model")
    assert cli.main(["export", "-m", str(folder / "model"), "-o", str(folder / "out")]) == 0
    return folder, recipe


def expected_probabilities(folder, stage, images):
    network = nets.build_network(stage.network, stage.classes, stage.channels)
    load_weights(network, folder / "model" / stage.name / "best.ckpt")
    logits = network.set_train(False)(ms.Tensor(images)).asnumpy().astype(np.float64)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "name, batches", [("coarse", [2]), ("coarse.dynamic", [1, 3]), ("fine", [3]), ("fine.dynamic", [1, 4])]
)
def test_reloaded_graph_is_the_checkpoint(exported, name, batches):
    folder, recipe = exported
    stage = recipe.stage(name.split(".")[0])
    graph = nn.GraphCell(ms.load(str(folder / "out" / f"{name}.mindir")))
    size = stage.sampling.window
    for batch in batches:
        images = np.random.default_rng(batch).normal(size=(batch, 1, *size)).astype(np.float32)
        result = graph(ms.Tensor(images)).asnumpy()
        np.testing.assert_allclose(result, expected_probabilities(folder, stage, images), atol=1e-6)


@pytest.mark.parametrize("name, batch", [("coarse", 2), ("coarse.dynamic", None), ("fine", 3), ("fine.dynamic", None)])
def test_json_tells_everything(exported, name, batch):
    folder, recipe = exported
    data = json.loads((folder / "out" / f"{name}.json").read_text())
    stage = recipe.stage(name.split(".")[0])
    size = [16, 32, 32] if stage.dims == 3 else [32, 32]
    assert data["input"]["shape"] == [batch, 1, *size]
    assert data["output"]["shape"] == [batch, stage.classes, *size]
    assert (data["input"]["clip_hu"], data["input"]["mean"], data["input"]["std"]) == ([-79, 304], 119.84, 103.8)
    assert [c["written"] for c in data["output"]["classes"]] == ([0, 1] if stage.name == "coarse" else [0, 1, 2])
    assert "softmax" in data["output"]
    assert data["recipe"]["stages"][0]["sampling"]["spacing"] == [3.22, 1.62, 1.62]
    graph, checkpoint = folder / "out" / f"{name}.mindir", folder / "model" / stage.name / "best.ckpt"
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    assert data["graph"] == {"file": graph.name, "format": "MindIR", "sha256": digest}
    assert data["checkpoint"]["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert data["versions"]["mindspore"] == ms.__version__
    network = nets.build_network(stage.network, stage.classes, stage.channels)
    convolutions = sum(isinstance(cell, nn.Conv2d | nn.Conv3d) for _, cell in network.cells_and_names())
    assert data["operators"][f"Conv{stage.dims}D"] == convolutions and data["operators"]["Softmax"] == 1
    assert "Load" not in data["operators"] and (data["precision"], data["input"]["dtype"]) == ("float32", "float32")


def test_nothing_else_is_left(exported):
    graphs = ("coarse", "coarse.dynamic", "fine", "fine.dynamic")
    names = {f"{graph}.{suffix}" for graph in graphs for suffix in ("mindir", "json")}
    assert {path.name for path in (exported[0] / "out").iterdir()} == names | {"recipe.yaml"}


def test_one_batch_size_on_request(exported, tmp_path):
    assert cli.main(["export", "-m", str(exported[0] / "model"), "-o", str(tmp_path), "--batch", "5"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.mindir")) == ["coarse.mindir", "fine.mindir"]
    assert json.loads((tmp_path / "fine.json").read_text())["input"]["shape"] == [5, 1, 32, 32]


@pytest.mark.parametrize("form", ["mindir", "onnx"])
def test_any_path_can_be_exported_to_and_loaded_from(exported, tmp_path, monkeypatch, form):
    folder, _ = exported
    nasty = tmp_path / """a b[1]'";|&*?<>`$x$(é模型)"""
    nasty.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(nasty))
    for out in (nasty / "out", nasty / "out.zip"):
        argv = ["export", "-m", str(folder / "model"), "--format", form, "--batch", "1", "-o", str(out)]
        assert cli.main(argv) == 0
        assert Model.load(out, "CPU", runtime="auto").recipe.name == "tiny"
    assert sorted(path.name for path in nasty.iterdir()) == ["out", "out.zip"]
