"""Dropout of channels: what it drops, how often, and that it goes on from a checkpoint."""

from __future__ import annotations

import mindspore as ms
import numpy as np

from kidneyseg.model_folder.checkpoint import TrainingState, load_weights, save_weights
from kidneyseg.nets.layers.dropout import PRIME, ChannelDropout


def masks(cell: ChannelDropout, draws: int) -> np.ndarray:
    """(draws, 4 samples, 64 channels): what was kept."""
    step = ms.jit(cell)
    found = [step(ms.ops.ones((4, 64, 1, 1, 1))).asnumpy() for _ in range(draws)]
    return np.stack(found)[..., 0, 0, 0] > 0


def made(seed: int = 1) -> ChannelDropout:
    ms.set_seed(seed)
    return ChannelDropout(0.3).set_train()


def test_whole_channels_are_dropped_and_the_rest_is_scaled_up():
    x = np.random.default_rng(0).normal(size=(2, 8, 2, 3, 4)).astype(np.float32)
    y = made()(ms.Tensor(x)).asnumpy()
    kept = (y != 0).all((2, 3, 4))
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(y, x * kept[..., None, None, None] / np.float32(0.7), rtol=1e-6)


def test_gradient_is_the_mask():
    x = ms.ops.ones((1, 16, 2, 2))
    cell = made()

    def total(x):
        return cell(x).sum()

    assert np.array_equal(ms.jit(ms.grad(total))(x).asnumpy(), made()(x).asnumpy())


def test_out_of_training_nothing_changes():
    x = ms.ops.ones((1, 16, 2, 2))
    cell = made().set_train(False)
    assert np.array_equal(cell(x).asnumpy(), x.asnumpy()) and int(cell.draws.asnumpy()) == 0


def test_share_is_p_and_neither_draws_nor_channels_depend_on_each_other():
    kept = masks(made(), 200).reshape(200, 256).astype(float)
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.21 / kept.size)
    for table in (kept, kept.T):  # correlations of independent draws scatter by 1 / sqrt(length) around 0
        correlations = np.corrcoef(table)[np.triu_indices(len(table), 1)]
        assert abs(correlations.mean()) < 0.002
        assert correlations.std() < 1.1 / np.sqrt(table.shape[1])


def test_remainders_are_exact_up_to_the_largest_square():
    edges = [0, 1, PRIME - 1, PRIME, PRIME + 1, 2**32 - 1, 2**32, (PRIME - 1) ** 2 + PRIME - 1, 2**62 + 2**32]
    numbers = np.concatenate([edges, np.random.default_rng(0).integers(0, 2**62, 1000)])
    found = ms.jit(made().remainder)(ms.Tensor(numbers, ms.int64)).asnumpy()
    assert np.array_equal(found, numbers % PRIME)


def test_other_seeds_drop_others():
    assert np.array_equal(masks(made(1), 2), masks(made(1), 2))
    assert not np.array_equal(masks(made(1), 2), masks(made(2), 2))


def test_it_goes_on_from_a_checkpoint(tmp_path):
    whole = masks(made(), 6)
    first, second = made(), made()
    assert np.array_equal(masks(first, 3), whole[:3])
    save_weights(tmp_path / "last.ckpt", first, TrainingState())
    load_weights(second, tmp_path / "last.ckpt")
    assert np.array_equal(masks(second, 3), whole[3:])
