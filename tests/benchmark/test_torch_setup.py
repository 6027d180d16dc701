"""PyTorch, wherever it is the peer, is not held back by what is set for MindSpore."""

import os
import subprocess
import sys

import pytest

from kidneyseg import CAP, CAPPED

pytest.importorskip("monai")

CODE = """
import ctypes, os
import numpy as np
import torch
from types import SimpleNamespace
import kidneyseg
from kidneyseg.benchmark.monai_engine import MonaiEngine
from kidneyseg.benchmark.nnunet import worker
from kidneyseg.benchmark.network_cases import NETWORK_CASES
from kidneyseg.benchmark.network_worker import torch_step

def train():
    worker._study = lambda job: exit()
    worker.main(SimpleNamespace(minutes=1))

def step():
    case = NETWORK_CASES["unet3d"]
    torch_step(case, np.zeros(case.small, np.float32), False, False, "float32")

name = b"ONEDNN_MAX_CPU_ISA"
get = ctypes.CDLL(None).getenv
get.restype = ctypes.c_char_p
for peer in (lambda: MonaiEngine(SimpleNamespace(stages=()), None, False), step, train):
    os.environ[name.decode()] = "AVX2"
    assert get(name)
    try:
        peer()
    except SystemExit:
        pass
    print(get(name), torch.get_num_threads())
"""


@pytest.mark.parametrize("given, seen", [({}, "None"), ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "b'AVX2'")])
def test_the_peers_have_all_threads_and_the_instructions_that_their_user_allows(given, seen):
    environment = {name: value for name, value in os.environ.items() if name not in (CAP, CAPPED)}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        env={**environment, "KIDNEYSEG_THREADS": "3", "OMP_NUM_THREADS": "1", **given},
    )
    assert done.stdout.splitlines() == [f"{seen} 3"] * 3, done.stderr
