"""`kidneyseg benchmark predict`: the peer has the same networks and makes the same masks."""

import json

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, save_scan
from scipy import ndimage as ndi
from tiny_model import save_tiny_model, tiny_recipe

from kidneyseg.benchmark import prediction
from kidneyseg.benchmark.own_engine import OwnEngine
from kidneyseg.benchmark.prediction import Row
from kidneyseg.benchmark.torch_weights import load_twin, require_twins, write_weights
from kidneyseg.benchmark.whole_case import segment_file
from kidneyseg.cli import main
from kidneyseg.cpu_kernels.processor import multiplies_bfloat16, processor
from kidneyseg.errors import InputError
from kidneyseg.recipe import parse_recipe, save_recipe
from kidneyseg.volume.nifti import read_mask

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)
LABELS = make_labels(SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 8))], [((10, 32, 44), (3, 4, 4))])


def changed(recipe, **changes):
    """``recipe`` with keys of all its stages changed."""
    facts = json.loads(recipe.model_dump_json(exclude_unset=True))
    for stage in facts["stages"]:
        for key, value in changes.items():
            stage[key] = {**stage.get(key, {}), **value}
    return parse_recipe(facts)


@pytest.fixture
def case(tmp_path):
    """A scan of soft edges in an orientation of its own, and its mask."""
    hu = ndi.gaussian_filter(make_hu(LABELS).astype(np.float32), 1).astype(np.int16)
    turned = {"axes": (2, 1, 0), "flips": (True, True, False)}
    return (
        save_scan(tmp_path / "ct.nii.gz", hu, SPACING, **turned),
        save_scan(tmp_path / "mask.nii.gz", LABELS, SPACING, **turned),
    )


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_peers_networks_are_the_same(tmp_path, norm):
    torch = pytest.importorskip("torch")
    import mindspore as ms

    from kidneyseg.model_folder.checkpoint import TrainingState, save_weights
    from kidneyseg.model_folder.network import load_network, stock_network

    recipe = changed(tiny_recipe(), network={"norm": norm})
    save_tiny_model(tmp_path, recipe)
    rng = np.random.default_rng(0)
    for stage in recipe.stages:
        checkpoint = tmp_path / stage.name / "best.ckpt"
        network = stock_network(stage, checkpoint)
        for parameter in network.get_parameters():  # as if trained: nothing is 0 or 1 any more
            parameter.set_data(ms.Tensor(parameter.asnumpy() + rng.uniform(0.1, 0.3, parameter.shape).astype("f4")))
        save_weights(checkpoint, network, TrainingState())
    write_weights(recipe, tmp_path, tmp_path)
    for stage in recipe.stages:
        x = rng.standard_normal((2, stage.channels, *stage.sampling.window), np.float32)
        expected = load_network(stage, tmp_path / stage.name / "best.ckpt", "CPU")(ms.Tensor(x)).asnumpy()
        with torch.no_grad():
            found = load_twin(stage, tmp_path).eval()(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_command_times_both_and_compares_their_masks(case, tmp_path, capsys):
    pytest.importorskip("monai")
    image, mask = case
    save_tiny_model(tmp_path / "model")
    options = ["--regions", str(mask), "--runtime", "openvino", "--peer", "monai", "--repeats", "1"]
    assert (
        main(
            [
                "benchmark",
                "predict",
                "-m",
                str(tmp_path / "model"),
                "-i",
                str(image),
                *options,
                "--json",
                str(tmp_path / "speed.json"),
            ]
        )
        == 0
    )
    found = json.loads((tmp_path / "speed.json").read_text())
    ours, peer, *rounded = found["rows"]
    assert [row["engine"] for row in found["rows"]] == ["openvino", "monai", *["monai bf16"] * len(rounded)]
    assert bool(rounded) == multiplies_bfloat16() and found["processor"] == processor()
    for row in found["rows"]:
        assert {"read", "coarse: network", "fine: region", "fine: network", "components", "write"} <= set(row["parts"])
        assert row["seconds"] == pytest.approx(sum(part["seconds"] for part in row["parts"].values()), abs=0.01)
        assert row["peak_mib"] >= max(part["peak_mib"] for part in row["parts"].values()) > 50
    assert ours["dice"] == {"kidney": 1, "tumour": 1}
    assert min(peer["dice"].values()) > 0.9  # resampled from float, not from uint8
    assert all(min(row["dice"].values()) > 0.85 for row in rounded)
    out = capsys.readouterr().out
    assert out.startswith(processor()) and "Dice with openvino" in out


def test_a_package_that_normalises_by_itself_gives_the_masks_of_its_checkpoints(case, tmp_path):
    image, mask = case
    save_tiny_model(tmp_path / "model")
    assert (
        main(
            [
                "export",
                "-m",
                str(tmp_path / "model"),
                "--format",
                "onnx",
                "--batch",
                "2",
                "--uint8",
                "-o",
                str(tmp_path / "package"),
            ]
        )
        == 0
    )
    masks = []
    for name in ("model", "package"):
        out = tmp_path / f"{name}.nii.gz"
        segment_file(OwnEngine(tmp_path / name, "openvino", "float32"), image, out, mask)
        masks.append(read_mask(out).array)
    assert masks[0].any() and np.mean(masks[0] == masks[1]) > 0.999


def test_other_models_have_columns_of_their_own(case, tmp_path):
    image, mask = case
    save_tiny_model(tmp_path / "model")
    export = ["export", "-m", str(tmp_path / "model"), "--format", "onnx", "--batch", "2", "-o"]
    assert main([*export, str(tmp_path / "package.zip")]) == 0
    models = [str(tmp_path / name) for name in ("model", "package.zip")]
    assert (
        main(
            [
                "benchmark",
                "predict",
                "-m",
                *models,
                "-i",
                str(image),
                "--regions",
                str(mask),
                "--peer",
                "none",
                "--repeats",
                "1",
                "--json",
                str(tmp_path / "speed.json"),
            ]
        )
        == 0
    )
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["models"] == models and [row["engine"] for row in found["rows"]] == ["openvino", "package"]
    assert found["rows"][1]["dice"] == {"kidney": 1, "tumour": 1}


def test_random_networks_are_timed_in_int8_too(case, tmp_path):
    image, mask = case
    save_recipe(tiny_recipe(), tmp_path / "tiny.yaml")
    assert (
        main(
            [
                "benchmark",
                "predict",
                "-c",
                str(tmp_path / "tiny.yaml"),
                "--int8",
                "-i",
                str(image),
                "--regions",
                str(mask),
                "--peer",
                "none",
                "--repeats",
                "1",
                "--json",
                str(tmp_path / "speed.json"),
                "stages.fine.inference.batch_size=2",
            ]
        )
        == 0
    )
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [row["engine"] for row in rows] == ["openvino", "int8"]
    assert all("fine: network" in row["parts"] for row in rows)


def test_ratios_are_those_of_the_first_engine():
    rows = [
        Row(name, seconds, 2 * seconds, 1.0, mib, {"read": {"seconds": seconds, "peak_mib": mib}}, {"kidney": 1.0})
        for name, seconds, mib in [("openvino", 3.0, 500.0), ("monai", 12.0, 2000.0)]
    ]
    lines = prediction.table(rows).splitlines()
    assert next(line for line in lines if "time of" in line).split()[-2:] == ["1.000", "0.250"]
    assert next(line for line in lines if "memory of" in line).split()[-2:] == ["1.000", "0.250"]


@pytest.mark.parametrize(
    "stage",
    [
        {"network": {"attention": True}},
        {"inference": {"mirrors": ["y"]}},
        {"intensity": {"per_volume": True}},
        {"network": {"deep_supervision": True}},
    ],
)
def test_what_has_no_twin_is_refused(stage):
    require_twins(tiny_recipe())
    coarse, fine = json.loads(tiny_recipe().model_dump_json(exclude_unset=True))["stages"]
    key, changes = next(iter(stage.items()))
    which = fine if "deep_supervision" in changes else coarse
    which[key] = {**which.get(key, {}), **changes}
    with pytest.raises(InputError, match=f"{which['name']}.*--peer none"):
        require_twins(parse_recipe({"name": "other", "stages": [coarse, fine]}))


@pytest.mark.parametrize(
    "options, said",
    [
        (["-c", "mplab_small", "-i", "ct.nii.gz"], "--regions"),
        (["-m", "no-such-model", "-i", "ct.nii.gz"], "no-such-model"),
        (["-m", "model", "no-such-model", "-i", "ct.nii.gz", "--peer", "none"], "no-such-model"),
        (["-m", "no-such-model", "-i", "ct.nii.gz", "--repeats", "0"], "--repeats"),
        (["-m", "model", "-i", "no-such.nii.gz", "--peer", "none", "--runtime", "openvino"], "no-such.nii.gz"),
        (["-m", "model", "-i", "ct.nii.gz", "train.epochs=1"], "KEY=VALUE"),
        (["-m", "model", "-i", "ct.nii.gz", "--int8"], "--int8 with -m"),
    ],
)
def test_bad_input_is_said(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if options[1] == "model":
        save_tiny_model(tmp_path / "model")
    assert main(["benchmark", "predict", *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_peer_is_said(monkeypatch):
    monkeypatch.setattr(prediction, "find_spec", lambda name: None if name == "monai" else object())
    with pytest.raises(InputError, match=r"no monai.*pip install -e .\[peer\].*--peer none"):
        prediction.require_peer()


def test_options_may_stand_before_the_action(case, tmp_path, capsys):
    save_tiny_model(tmp_path / "model")
    argv = ["predict", "-m", str(tmp_path / "model"), "-i", str(case[0]), "--peer", "none"]
    assert main(["benchmark", "--repeats", "0", *argv]) == 2 and "--repeats" in capsys.readouterr().err
    assert main(["benchmark", "--repeats", "1", "--json", str(tmp_path / "speed.json"), *argv]) == 0
    assert json.loads((tmp_path / "speed.json").read_text())["rows"]


def test_the_peer_needs_checkpoints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prediction, "find_spec", lambda name: object())
    save_tiny_model(tmp_path / "model")
    package = str(tmp_path / "package")
    assert main(["export", "-m", str(tmp_path / "model"), "--format", "onnx", "--batch", "2", "-o", package]) == 0
    assert main(["benchmark", "predict", "-m", package, "-i", "ct.nii.gz"]) == 2
    assert "best.ckpt" in capsys.readouterr().err
