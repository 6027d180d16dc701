"""Two processes that train together, each on the kernels: one process with both samples on MindSpore's own cells."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kidneyseg import cpu_kernels
from kidneyseg.nets.layers import blocks

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")

RANK = """
import sys
import numpy as np
from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import cells
from kidneyseg.nets.layers import blocks
import mindspore as ms
from mindspore.communication import get_rank, init
ms.set_device("CPU")
init()
network = blocks.double_conv(3, 2, 4, 8, "batch").set_train(True)
ms.load_param_into_net(network, ms.load_checkpoint(sys.argv[1] + "/start.ckpt"))
network = cpu_kernels.accelerate(network)
kinds = [type(cell) for _, cell in network.cells_and_names()]
assert cells.Convolution in kinds and cells.NormActivation not in kinds
x = np.load(sys.argv[1] + "/x.npy")[get_rank()][None]
np.save(sys.argv[1] + f"/y{get_rank()}.npy", network(ms.Tensor(x)).asnumpy())
"""


def test_statistics_span_the_ranks(tmp_path):
    import mindspore as ms

    network = blocks.double_conv(3, 2, 4, 8, "batch").set_train(True)
    ms.save_checkpoint(network, str(tmp_path / "start.ckpt"))
    x = np.random.default_rng(0).standard_normal((2, 2, 6, 7, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "rank.py").write_text(RANK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "msrun",
        "--worker_num=2",
        "--local_worker_num=2",
        f"--master_port={port}",
        "--join=True",
        "--bind_core=False",
        f"--log_dir={tmp_path / 'log'}",
        str(tmp_path / "rank.py"),
        str(tmp_path),
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = np.concatenate([np.load(tmp_path / f"y{rank}.npy") for rank in range(2)])
    np.testing.assert_allclose(found, network(ms.Tensor(x)).asnumpy(), atol=1e-4)
