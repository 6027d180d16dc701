"""Which graphs a folder of exports gives a device, and what is refused."""

import json

import pytest
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg.deploy.package import read_package
from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, Port, input_shape
from kidneyseg.export.metadata import write_metadata
from kidneyseg.recipe import parse_recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder, tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1}))
    return folder


def add(folder, model, stage, name, batch, recipe=None):
    """A graph as export leaves it, but for what is in it."""
    recipe = recipe or tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1})
    spec = recipe.stage(stage)
    (folder / name).write_bytes(name.encode())
    kind = {"onnx": "ONNX", "mindir": "MindIR"}[name.rpartition(".")[2]]
    shape = input_shape(spec, batch)
    ports = Port("images", shape), Port("probabilities", (batch, spec.classes, *shape[2:]))
    return write_metadata(Graph(folder / name, kind, *ports), recipe, spec, model)


def test_the_device_chooses_the_format_and_a_fixed_batch_comes_first(tmp_path, model):
    for stage in ("coarse", "fine"):
        add(tmp_path, model, stage, f"{stage}.dynamic.onnx", None)
        add(tmp_path, model, stage, f"{stage}.mindir", 7)
    add(tmp_path, model, "fine", "fine.onnx", 6)
    (tmp_path / "other.json").write_text("[1]")
    package = read_package(tmp_path, "CPU")
    assert package.recipe == tiny_recipe(labels={"kidney": 1, "tumour": 2}, merge={3: 1})
    assert {stage: graph.path.name for stage, graph in package.graphs.items()} == {
        "coarse": "coarse.dynamic.onnx", "fine": "fine.onnx"}
    assert package.batch("coarse") == 2 and package.batch("fine") == 6
    ascend = read_package(tmp_path, "Ascend310")
    assert ascend.graphs["fine"].path.name == "fine.mindir" and ascend.batch("coarse") == 7


def test_a_cpu_takes_mindir_where_there_is_no_onnx(tmp_path, model):
    for stage in ("coarse", "fine"):
        add(tmp_path, model, stage, f"{stage}.mindir", 7)
    assert read_package(tmp_path, "CPU").graphs["coarse"].format == "MindIR"


def test_what_is_no_package_is_refused(tmp_path, model):
    def refused(*words, device="CPU"):
        with pytest.raises(InputError) as caught:
            read_package(tmp_path / "package", device)
        assert all(word in str(caught.value) for word in (*words, "kidneyseg export")), caught.value

    refused("no such folder")
    folder = tmp_path / "package"
    folder.mkdir()
    refused("ONNX or MindIR graphs for CPU", "found none")
    add(folder, model, "coarse", "coarse.onnx", 2)
    refused("stage 'fine'")
    refused("MindIR graphs for Ascend310", "another format", device="Ascend310")
    other = parse_recipe(json.loads(tiny_recipe(merge={3: 1}, name="other").model_dump_json()))
    fine = add(folder, model, "fine", "fine.onnx", 3, recipe=other)
    refused("fine.onnx.json", "the recipe of coarse.onnx.json")
    fine = add(folder, model, "fine", "fine.onnx", 3)
    read_package(folder, "CPU")
    (folder / "fine.onnx").write_bytes(b"damaged")
    refused("fine.onnx: expected the graph that fine.onnx.json describes", "SHA-256")
    (folder / "fine.onnx").unlink()
    refused("no such file")
    fine.write_text("{")
    refused("fine.onnx.json")
