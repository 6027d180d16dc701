"""Weights of PyTorch in our encoders: the same features, from either file format, and every fault named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from kidneyseg import nets
from kidneyseg.errors import InputError
from kidneyseg.model_folder.checkpoint import TrainingState, save_weights
from kidneyseg.model_folder.network import stock_network
from kidneyseg.nets.pretrained import load_resnet34
from kidneyseg.nets.resnet import ResNet34
from kidneyseg.nets.torch_file import Storage, View, read_tensors
from kidneyseg.recipe import Loss, Network, SliceSampling, Stage

torch = pytest.importorskip("torch")
import torch_resnet  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet34.pth"
    torch.save(torch_resnet.trained().state_dict(), path)
    return path


def features(encoder: ResNet34, x: np.ndarray) -> list[np.ndarray]:
    return [one.asnumpy() for one in encoder.set_train(False)(ms.Tensor(x))]


def assert_same(found: list[np.ndarray], expected: list) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        theirs = theirs.numpy()
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def image(channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, channels, 64, 96)).astype(np.float32)


@pytest.mark.parametrize("dilated", [False, True])
def test_same_features_as_torch(dilated, weights):
    encoder = ResNet34(3, dilated=dilated)
    load_resnet34(encoder, weights)
    with torch.no_grad():
        assert_same(features(encoder, image(3)), torch_resnet.trained(dilated)(torch.tensor(image(3))))


@pytest.mark.parametrize("channels", [1, 5])
def test_a_grey_image_in_all_channels_gives_what_it_gives_in_rgb(channels, weights):
    encoder = ResNet34(channels, depth=2)
    load_resnet34(encoder, weights)
    with torch.no_grad():
        expected = torch_resnet.trained()(torch.tensor(image(1).repeat(3, 1)))[:1]
    assert_same(features(encoder, image(1).repeat(channels, 1)), expected)


def test_stages_that_are_left_out_are_not_read(weights):
    encoder = ResNet34(3, depth=4)
    load_resnet34(encoder, weights)
    with torch.no_grad():
        assert_same(features(encoder, image(3)), torch_resnet.trained()(torch.tensor(image(3)))[:3])


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_new_and_old_versions_of_torch(zipped, tmp_path):
    base = torch.arange(24, dtype=torch.float32)
    saved = {
        "plain": base.reshape(2, 3, 4),
        "view": base[2:].reshape(11, 2).T,
        "scalar": torch.tensor(5),
        "double": torch.rand(3, dtype=torch.float64),
        "half": torch.rand(2).half(),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.rand(2, 2)),
    }
    torch.save(saved, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    found = read_tensors(tmp_path / "file.pth")
    assert found.keys() == saved.keys()
    for name, tensor in saved.items():
        assert found[name].dtype == tensor.detach().numpy().dtype
        assert np.array_equal(found[name], tensor.detach().numpy())


def test_torch_is_not_needed(weights):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from kidneyseg.nets.torch_file import Storage, View, read_tensors\n"
        f"print(read_tensors({str(weights)!r})['layer4.2.conv2.weight'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(512, 512, 3, 3)"


class Attack:
    def __reduce__(self):
        return print, ("code from the file has run",)


@pytest.mark.parametrize(
    "content, found",
    [
        ({"weight": Attack()}, "__builtin__.print"),
        ({"epoch": 3, "weight": torch.zeros(2)}, "other contents than tensors"),
        (torch.zeros(2), "other contents than tensors"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_not_a_state_dict_is_refused(content, found, zipped, tmp_path, capsys):
    torch.save(content, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=f"file.pth.*state dict.*{found}"):
        read_tensors(tmp_path / "file.pth")
    assert "has run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "offset, shape, strides",
    [(0, (7,), (1,)), (5, (2,), (1,)), (0, (2, 2), (4, 2)), (-1, (2,), (1,)), (4, (3,), (-1,))],
)
def test_a_tensor_must_lie_within_its_storage(offset, shape, strides):
    storage = np.arange(6, dtype=np.float32)
    with pytest.raises(ValueError, match="beyond"):
        View(Storage(storage.dtype, "0"), offset, shape, strides).values(storage)
    assert View(Storage(storage.dtype, "0"), 1, (2, 2), (3, 1)).values(storage).tolist() == [[1, 2], [4, 5]]


def test_no_file_and_damaged_files_are_refused(weights, tmp_path):
    with pytest.raises(InputError, match="nowhere.pth.*No such file"):
        read_tensors(tmp_path / "nowhere.pth")
    for name, content in (("cut", weights.read_bytes()[:100_000]), ("empty", b""), ("text", b"not a pickle")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*saved by PyTorch"):
            read_tensors(tmp_path / name)


def test_tensors_that_are_missing_surplus_or_of_another_shape_are_named(tmp_path):
    state = torch_resnet.trained().state_dict()
    state["layer3.5.conv9.weight"] = state.pop("layer3.5.conv2.weight")
    state["bn1.bias"] = torch.zeros(63)
    torch.save(state, tmp_path / "other.pth")
    encoder = ResNet34(3)
    before = encoder.stem.conv.weight.asnumpy()
    with pytest.raises(
        InputError,
        match=r"3 faults: layer3\.5\.conv2\.weight is missing; layer3\.5\.conv9\.weight is "
        r"surplus; bn1\.bias is \(63,\), not \(64,\)",
    ):
        load_resnet34(encoder, tmp_path / "other.pth")
    assert np.array_equal(encoder.stem.conv.weight.asnumpy(), before)


@pytest.mark.parametrize("options", [{"width": 32}, {"width": 64, "norm": "instance"}])
def test_a_network_that_is_no_resnet34_is_refused(options, weights):
    with pytest.raises(InputError, match="network.pretrained.*width: 64 and norm: batch"):
        nets.build_network(Network(name="unet_resnet34", depth=6, pretrained=str(weights), **options), 2)


@pytest.mark.parametrize("name", ["unet_resnet34", "deeplabv3plus"])
def test_training_starts_from_the_file_and_inference_does_not_need_it(name, weights, tmp_path):
    given = tmp_path / "given.pth"
    given.write_bytes(weights.read_bytes())
    stage = stage_with(Network(name=name, width=64, depth=5, pretrained=str(given)))
    network = nets.build_network(stage.network, stage.classes, stage.channels)
    expected = read_tensors(given)["layer2.0.conv1.weight"]
    assert np.array_equal(network.encoder.stages[1][0].stage.convs[0].conv.weight.asnumpy(), expected)
    save_weights(tmp_path / "best.ckpt", network, TrainingState())
    given.unlink()
    deployed = stock_network(stage, tmp_path / "best.ckpt")
    for mine, theirs in zip(deployed.get_parameters(), network.get_parameters()):
        assert np.array_equal(mine.asnumpy(), theirs.asnumpy())
    with pytest.raises(InputError, match="given.pth"):
        nets.build_network(stage.network, stage.classes, stage.channels)


def stage_with(network: Network) -> Stage:
    return Stage(
        name="s",
        sampling=SliceSampling(size=(64, 64), stack=5),
        targets=((1,),),
        network=network,
        loss=Loss(name="dice_ce"),
    )
