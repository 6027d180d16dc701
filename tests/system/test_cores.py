"""The kernels run on the cores there are, whatever MindSpore does to the environment meanwhile."""

import os
import subprocess
import sys

import pytest

from kidneyseg import cpu_kernels
from kidneyseg.system.cores import thread_count

CORES = len(os.sched_getaffinity(0))
# The first kernel runs after MindSpore compiled a graph, which sets OMP_NUM_THREADS=1 in the process's environment.
FORWARD = """
import pathlib
import mindspore as ms
from kidneyseg import cpu_kernels
from kidneyseg.nets.layers import blocks
ms.set_device("CPU")
network = cpu_kernels.accelerate(blocks.ConvNormAct(2, 1, 4))
network.set_train(False)
ms.jit(network.construct)(ms.ops.ones((1, 1, 64, 64))).asnumpy()
names = [(task / "comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()]
print(names.count("kidneyseg"))
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("KIDNEYSEG_THREADS", "OMP_NUM_THREADS", "MS_WORKER_NUM"):
        monkeypatch.delenv(name, raising=False)


def test_all_cores_unless_told_otherwise(monkeypatch):
    assert thread_count() == CORES
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert thread_count() == 5
    monkeypatch.setenv("KIDNEYSEG_THREADS", "3")
    assert thread_count() == 3


def test_systems_that_do_not_tell_a_process_its_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert thread_count() == 7


def test_ranks_share_the_cores(monkeypatch):
    monkeypatch.setenv("MS_WORKER_NUM", str(2 * CORES))
    assert thread_count() == 1
    monkeypatch.setenv("MS_WORKER_NUM", "1")
    assert thread_count() == CORES


@pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")
@pytest.mark.parametrize("threads", [1, 3])
def test_the_pool_has_as_many_threads_beside_the_caller(threads):
    environment = {**os.environ, "KIDNEYSEG_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", FORWARD], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split()[-1:] == [str(threads - 1)], done.stderr
