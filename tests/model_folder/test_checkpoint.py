import numpy as np
import pytest
from mindspore import amp, ops, set_seed

from kidneyseg import nets
from kidneyseg.errors import InputError
from kidneyseg.model_folder import checkpoint
from kidneyseg.model_folder.checkpoint import TrainingState
from kidneyseg.recipe import Network, Train
from kidneyseg.training import optimizer


def tiny(width=2, seed=0):
    set_seed(seed)
    return nets.build_network(Network(name="unet2d", width=width, depth=2), classes=2)


def values(parameters):
    return {p.name: p.asnumpy().copy() for p in parameters}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / """a b[1]'";|&*?<>`$x$(é模型)""" / "best.ckpt"  # any folder will do
    path.parent.mkdir()
    checkpoint.save_weights(path, tiny(seed=1), TrainingState(3, 5, 1.5, 2.5, 0.8, 2))
    return path


def test_weights_come_back(saved):
    network = tiny(seed=2)
    before = values(network.get_parameters())
    assert checkpoint.load_weights(network, saved) == TrainingState(3, 5, 1.5, 2.5, 0.8, 2)
    after, expected = values(network.get_parameters()), values(tiny(seed=1).get_parameters())
    assert any((before[name] != expected[name]).any() for name in expected)
    assert all((after[name] == expected[name]).all() for name in expected)


def test_no_partial_file_and_writable_result(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["best.ckpt"]
    assert saved.stat().st_mode & 0o600 == 0o600


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_optimizer_and_loss_scale_come_back(tmp_path, kind):
    def parts(seed):
        network = tiny(seed=seed)
        return network, optimizer.build(Train(optimizer=kind), network), amp.DynamicLossScaler(2.0**10, 2, 3)

    network, optim, scaler = parts(1)
    for parameter in optim.get_parameters():
        parameter.set_data((parameter + 3).astype(parameter.dtype))
    ops.assign(scaler.scale_value, scaler.scale_value * 8)
    checkpoint.save_training(tmp_path / "last.ckpt", network, optim, scaler, TrainingState(epoch=1))
    again, fresh, rescaler = parts(2)
    assert checkpoint.load_training(tmp_path / "last.ckpt", again, fresh, rescaler) == TrainingState(epoch=1)
    for old, new in zip(
        [*network.get_parameters(), *optim.get_parameters()], [*again.get_parameters(), *fresh.get_parameters()]
    ):
        np.testing.assert_array_equal(old.asnumpy(), new.asnumpy(), err_msg=old.name)
    assert float(rescaler.scale_value.asnumpy()) == 2.0**13
    network = tiny(seed=3)
    checkpoint.load_weights(network, tmp_path / "last.ckpt")  # inference may use it as well
    np.testing.assert_array_equal(network.trainable_params()[0].asnumpy(), again.trainable_params()[0].asnumpy())


def test_losses_of_mined_samples_come_back(tmp_path):
    network, scaler = tiny(), amp.DynamicLossScaler(1.0, 2, 3)
    optim = optimizer.build(Train(), network)
    losses = np.float32([[np.nan, 0.1, 2], [1e-30, np.nan, 3]])
    path, found = tmp_path / "last.ckpt", np.zeros((2, 3), np.float32)
    checkpoint.save_training(path, network, optim, scaler, TrainingState(epoch=1), losses)
    checkpoint.load_training(path, network, optim, scaler, found)
    assert found.tobytes() == losses.tobytes()
    assert checkpoint.load_weights(network, path) == TrainingState(epoch=1)
    with pytest.raises(InputError, match="sampler.losses is surplus"):
        checkpoint.load_training(path, network, optim, scaler)
    with pytest.raises(InputError, match="sampler.losses"):
        checkpoint.load_training(path, network, optim, scaler, np.zeros((2, 4), np.float32))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped", "cut at half"])
def test_damaged_file(saved, damage):
    data = bytearray(saved.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    new = {
        "truncated": data[:-7],
        "empty": b"",
        "text": b"no checkpoint",
        "flipped": data,
        "cut at half": data[: len(data) // 2],
    }
    saved.write_bytes(bytes(new[damage]))
    with pytest.raises(InputError, match="best.ckpt"):
        checkpoint.load_weights(tiny(), saved)


def test_no_bit_of_the_weights_and_no_end_of_the_file_can_be_lost(saved):
    """The end holds the CRC, which MindSpore does without when it is gone."""
    whole, expected = saved.read_bytes(), values(tiny(seed=1).get_parameters())
    end = whole.rindex(b"crc_num")
    damaged = [whole[:end], whole[: end + 3]]
    for place in np.random.default_rng(0).integers(0, len(whole), 40).tolist():
        flipped = bytearray(whole[:end])
        flipped[place % end] ^= 1
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        saved.write_bytes(data)
        network = tiny(seed=2)
        try:
            progress = checkpoint.load_weights(network, saved)
        except InputError:
            refused += 1
        else:
            assert progress == TrainingState(3, 5, 1.5, 2.5, 0.8, 2)
            assert all((p == expected[name]).all() for name, p in values(network.get_parameters()).items())
    assert refused >= 35


def test_a_checkpoint_without_a_digest_is_read(saved, monkeypatch):
    with monkeypatch.context() as patch:
        save = checkpoint.ms.save_checkpoint
        patch.setattr(
            checkpoint.ms,
            "save_checkpoint",
            lambda *args, append_dict, **options: save(
                *args, append_dict={checkpoint.PROGRESS: append_dict[checkpoint.PROGRESS]}, **options
            ),
        )
        checkpoint.save_weights(saved, tiny(seed=1), TrainingState(epoch=7))
    assert b"digest" not in saved.read_bytes()
    assert checkpoint.load_weights(tiny(), saved) == TrainingState(epoch=7)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        checkpoint.load_weights(tiny(), tmp_path / "best.ckpt")


def test_wrong_network_is_named_and_left_alone(saved):
    other = tiny(width=3)
    before = values(other.get_parameters())
    with pytest.raises(InputError, match=r"conv.weight is \(2, 4, 3, 3\), not \(3, 6, 3, 3\)"):
        checkpoint.load_weights(other, saved)
    assert all((before[name] == p).all() for name, p in values(other.get_parameters()).items())
    with pytest.raises(InputError, match="missing|surplus"):
        checkpoint.load_weights(nets.build_network(Network(name="unet2d", width=2, depth=3), classes=2), saved)


def test_sweep_takes_only_leftovers(saved):
    (saved.parent / ".last.partial.ckpt").write_bytes(b"half")
    checkpoint.sweep(saved.parent)
    assert [path.name for path in saved.parent.iterdir()] == ["best.ckpt"]
