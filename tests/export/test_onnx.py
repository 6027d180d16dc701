"""ONNX files, run by ONNX Runtime, give what the networks give."""

import inspect
import json
import re

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import nn, ops
from tiny_model import save_tiny_model

from kidneyseg import cli, nets
from kidneyseg.errors import InputError
from kidneyseg.export import onnx_export, onnx_operators
from kidneyseg.recipe import Network
from kidneyseg.system.digest import sha256

DEPTHS = {"deeplabv3plus": 5, "unet_resnet34": 5}
OPTIONS = ("residual", "attention", "deep_supervision")


def make(name, norm):
    """With all options that the network has; statistics, scales and shifts are far from 0 and 1."""
    ms.set_seed(1)
    has = inspect.signature(nets.NETWORKS[name]).parameters
    spec = Network(
        name=name,
        width=4,
        depth=DEPTHS.get(name, 3),
        norm=norm,
        **{option: True for option in OPTIONS if option in has},
    )
    network, rng = nets.build_network(spec, classes=3, in_channels=2).set_train(False), np.random.default_rng(1)
    for parameter in network.get_parameters():
        if parameter.ndim == 1:
            parameter.set_data(ms.Tensor(rng.uniform(0.3, 1, parameter.shape), ms.float32))
    return network


def run(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", nets.NETWORKS)
def test_every_network_with_all_its_options_gives_its_logits_for_any_batch(name, norm, tmp_path):
    network = make(name, norm)
    axes = max(parameter.ndim for parameter in network.get_parameters()) - 2
    size = {2: (16, 32), 3: (8, 8, 16)}[axes]
    path = tmp_path / "network.onnx"
    onnx.save(onnx_export.to_onnx(network, (2, 2, *size), any_batch=True), path)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for batch in (1, 3):
        images = noise(batch, 2, *size)
        expected = network(ms.Tensor(images)).asnumpy()
        assert expected.std() > 0.01
        np.testing.assert_allclose(run(path, images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    recipe = save_tiny_model(folder / "model")
    arguments = ["export", "-m", str(folder / "model"), "-o", str(folder / "out"), "--format", "onnx"]
    assert cli.main(arguments) == 0
    return folder, recipe


@pytest.mark.parametrize("name, batch", [("coarse", 2), ("coarse.dynamic", None), ("fine", 3), ("fine.dynamic", None)])
def test_command_writes_probabilities_and_says_what_they_are(exported, name, batch):
    folder, recipe = exported
    stage, path = recipe.stage(name.split(".")[0]), folder / "out" / f"{name}.onnx"
    told = json.loads((folder / "out" / f"{name}.onnx.json").read_text())
    assert told["graph"] == {"file": path.name, "format": "ONNX", "sha256": sha256(path)}
    assert told["input"]["shape"] == [batch, 1, *stage.sampling.window]
    assert (told["input"]["name"], told["output"]["name"]) == ("images", "probabilities")
    assert told["output"]["shape"] == [batch, stage.classes, *stage.sampling.window]
    for images in (
        [noise(batch, *told["input"]["shape"][1:])]
        if batch
        else [noise(n, *told["input"]["shape"][1:]) for n in (1, 4)]
    ):
        found = run(path, images)
        assert found.shape == (len(images), stage.classes, *stage.sampling.window)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_nothing_else_is_left(exported):
    names = {path.name for path in (exported[0] / "out").iterdir()}
    graphs = ("coarse", "coarse.dynamic", "fine", "fine.dynamic")
    assert names == {f"{graph}.{suffix}" for graph in graphs for suffix in ("onnx", "onnx.json")} | {"recipe.yaml"}


def test_a_file_that_computes_something_else_is_not_written(exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(
        onnx_operators.OPERATORS, "ReLU", lambda writer, node: writer.emit("Neg", node, [writer.tensor(node.inputs[0])])
    )
    assert cli.main(["export", "-m", str(exported[0] / "model"), "-o", str(tmp_path / "out"), "--format", "onnx"]) == 2
    assert re.search(r"found differences up to \S+ in ONNX Runtime", capsys.readouterr().err)
    assert not list((tmp_path / "out").glob("*"))


class Sorted(nn.Cell):
    def construct(self, images):
        return ops.Sort()(images)[0]


def test_operators_without_a_counterpart_are_named():
    with pytest.raises(InputError, match="operator Sort"):
        onnx_export.to_onnx(Sorted(), (2, 1, 4, 4), any_batch=False)


def test_air_is_refused(exported, tmp_path, capsys):
    assert cli.main(["export", "-m", str(exported[0] / "model"), "-o", str(tmp_path), "--format", "air"]) == 2
    error = capsys.readouterr().err
    assert "only MindSpore on Ascend" in error and "MindIR" in error and not any(tmp_path.iterdir())
