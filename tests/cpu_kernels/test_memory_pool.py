"""How much memory a training step takes at its peak: no more than what its backward pass must remember."""

from __future__ import annotations

import subprocess
import sys

import mindspore as ms
import pytest

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import memory_pool
from kidneyseg.nets.unet3d import UNet3D

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")

STEP = """
import sys
import kidneyseg, mindspore as ms
from kidneyseg import cpu_kernels
from kidneyseg.system.peak_memory import own_peak
from kidneyseg.nets.unet3d import UNet3D

network = cpu_kernels.accelerate(UNet3D(1, 3, width=4, depth=2)).set_train()

def loss(x):
    logits = network(x)
    return (logits * logits).mean()

step = ms.jit(ms.value_and_grad(loss, None, network.trainable_params()))
x = ms.ops.zeros((1, 1, int(sys.argv[1]), 64, 64), ms.float32)
for _ in range(3):  # where holes are left in memory_pool, later steps need more
    step(x)[0].asnumpy()
print(own_peak())
"""
# Channels at full resolution. Each norm and activation remembers what goes in and the convolution after it what comes
# out; 16 channels go up, are concatenated with 8 and freed. An eighth of what the deeper level has.
KEPT = 2 * (4 + 8 + 8 + 8) + (8 + 16) + (8 + 2 * (8 + 16)) / 8
# Logits, what the loss makes of them and its gradients are 19; the rest is for what processes differ by at their start.
# Where concatenated tensors and their concatenation outlive their use by one operator, it is 51.
PASSING = 35


def test_peak_of_a_training_step(tmp_path):
    script = tmp_path / "step.py"  # MindSpore compiles what is in a file only
    script.write_text(STEP)
    depths = (16, 208)
    children = [
        subprocess.Popen([sys.executable, str(script), str(depth)], stdout=subprocess.PIPE, text=True)
        for depth in depths
    ]
    small, large = (float(child.communicate()[0].split()[-1]) * 2**20 for child in children)
    assert [child.returncode for child in children] == [0, 0]
    channel = (depths[1] - depths[0]) * 64 * 64 * 4  # what the processes share cancels out
    assert KEPT < (large - small) / channel < KEPT + PASSING


def test_memory_is_taken_in_large_blocks_unless_somebody_chose_before():
    cpu_kernels.accelerate(UNet3D(1, 2, width=2, depth=2))
    with pytest.raises(RuntimeError, match="repeatedly"):
        ms.runtime.set_memory()
    memory_pool.take_large_blocks.cache_clear()
    memory_pool.take_large_blocks()
