"""Choosing a device, before and after MindSpore has begun to compute."""

import subprocess
import sys

import pytest

from kidneyseg import device
from kidneyseg.errors import InputError


def test_cpu_is_always_there():
    assert device.use("CPU") == "CPU"
    assert device.use("CPU") == "CPU"


def test_a_device_that_is_not_there_is_named():
    import mindspore as ms

    absent = next(name for name in ("Ascend", "GPU") if not ms.hal.is_available(name))
    with pytest.raises(InputError, match=f"device {absent}"):
        device.use(absent)


def test_the_device_at_work_can_be_chosen_again():
    """MindSpore refuses to be given a device once it has computed, even the one it computes on."""
    code = ("from kidneyseg import device; import mindspore as ms, numpy as np; (ms.Tensor(np.ones(2)) + 1).asnumpy();"
            "print(device.use(ms.get_context('device_target')) == ms.get_context('device_target'))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("True"), done.stderr
