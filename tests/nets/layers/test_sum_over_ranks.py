"""Two processes with half a batch each must compute what one process computes with the whole batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Run by each rank, and without msrun by a single process: gradients averaged over ranks, as training does.
SCRIPT = """
import sys
import kidneyseg
import mindspore as ms
import numpy as np
from mindspore import communication, nn
from kidneyseg import losses
from kidneyseg.nets.layers.blocks import ConvNormAct, conv
from kidneyseg.recipe import Loss

distributed, out = sys.argv[1] == "distributed", sys.argv[2]
if distributed:
    communication.init()
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
rank, ranks = (communication.get_rank(), communication.get_group_size()) if distributed else (0, 1)
rng = np.random.default_rng(0)
x = rng.normal(2, 3, (4, 1, 4, 6, 8)).astype(np.float32)
y = rng.integers(0, 3, (4, 4, 6, 8)).astype(np.int32)
y[:2][y[:2] == 2] = 0  # the first rank never sees class 2
share = slice(rank * 4 // ranks, (rank + 1) * 4 // ranks)
network = nn.SequentialCell(ConvNormAct(3, 1, 4), ConvNormAct(3, 4, 4), conv(3, 4, 3, kernel=1))
weights = network.trainable_params()
for weight in network.get_parameters():
    if weight.requires_grad:
        weight.set_data(ms.Tensor(rng.normal(0.2, 0.5, weight.shape).astype(np.float32)))
network.set_train()
loss = losses.build_loss(Loss(name="dice_ce", regions=((1, 2), (2,))))
average = nn.DistributedGradReducer(weights, mean=True, degree=ranks) if distributed else None

def forward(x, y):
    return loss(network(x), y)

gradients_of = ms.value_and_grad(forward, None, weights)

@ms.jit
def step(x, y):
    value, gradients = gradients_of(x, y)
    if distributed:
        gradients = average(gradients)
    return value, gradients

value, gradients = step(ms.Tensor(x[share]), ms.Tensor(y[share]))
result = {"gradient " + w.name: g.asnumpy() for w, g in zip(weights, gradients)}
result.update({p.name: p.asnumpy() for p in network.get_parameters() if "moving" in p.name})
np.savez(f"{out}/{rank}.npz", loss=value.asnumpy(), **result)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, list[dict[str, np.ndarray]]]:
    """What every rank saved, of a run of one process and of a run of two."""
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    msrun = [
        str(Path(sys.executable).with_name("msrun")),
        "--worker_num=2",
        "--local_worker_num=2",
        "--join=True",
        f"--master_port={free_port()}",
        "--bind_core=False",
        f"--log_dir={folder / 'log'}",
    ]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    found = {}
    for name, launcher, ranks in (("single", [sys.executable], 1), ("distributed", msrun, 2)):
        out = folder / name
        out.mkdir()
        run = subprocess.run(
            [*launcher, str(script), name, str(out)],
            cwd=folder,
            env=environment,
            timeout=240,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        found[name] = [dict(np.load(out / f"{rank}.npz")) for rank in range(ranks)]
    return found


def test_averaged_gradients_are_those_of_the_whole_batch(results):
    (single,) = results["single"]
    gradients = [key for key in single if key.startswith("gradient")]
    assert len(gradients) == 8
    for rank in results["distributed"]:
        for key in gradients:
            np.testing.assert_allclose(rank[key], single[key], rtol=1e-4, atol=1e-6, err_msg=key)


def test_moving_statistics_are_those_of_the_whole_batch(results):
    (single,) = results["single"]
    moving = [key for key in single if "moving" in key]
    assert len(moving) == 4
    for rank in results["distributed"]:
        for key in moving:
            np.testing.assert_allclose(rank[key], single[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_mean_of_the_ranks_losses_is_the_loss_of_the_whole_batch(results):
    mean = np.mean([rank["loss"] for rank in results["distributed"]])
    np.testing.assert_allclose(mean, results["single"][0]["loss"], rtol=1e-5)
