"""Choosing a device, before and after MindSpore has begun to compute."""

import subprocess
import sys

import pytest

from kidneyseg import cpu_kernels, device, nets
from kidneyseg.errors import InputError
from kidneyseg.recipe import Network


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
    code = (
        "from kidneyseg import device; import mindspore as ms, numpy as np; (ms.Tensor(np.ones(2)) + 1).asnumpy();"
        "print(device.use(ms.get_context('device_target')) == ms.get_context('device_target'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("True"), done.stderr


def test_an_accelerator_can_be_chosen_again_with_the_real_switch_of_mindspore():
    """MindSpore takes `set_deterministic` once: two stages in one process ended in a traceback."""
    code = (
        "from kidneyseg import device; import mindspore as ms; ms.hal.is_available = lambda name: name == 'GPU';"
        "ms.set_device = lambda name: None; print(device.use(), device.use('GPU'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["GPU", "GPU"], done.stderr


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_network_fitted_to_the_cpu_keeps_its_parameters(precision):
    network = nets.build_network(Network(name="unet2d", width=4, depth=2), 2)
    before = {parameter.name: id(parameter) for parameter in network.get_parameters()}
    fitted = device.prepare_network(network, precision, "CPU")
    assert {parameter.name: id(parameter) for parameter in fitted.get_parameters()} == before
    assert (fitted is network) == (precision == "float16" or not cpu_kernels.available())


def test_bfloat16_is_for_cpus_that_are_faster_with_it(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "has_bfloat16", lambda: False)
    with pytest.raises(InputError, match="precision=float32"):
        device.prepare_network(None, "bfloat16", "CPU")


@pytest.mark.parametrize(
    "variables, card",
    [({}, ()), ({"DEVICE_ID": ""}, ()), ({"DEVICE_ID": "2"}, (2,)), ({"DEVICE_ID": "2", "MS_ROLE": "MS_WORKER"}, ())],
)
def test_device_id_chooses_the_card(variables, card, monkeypatch):
    """MindSpore itself takes card 0 whatever DEVICE_ID says; msrun, which sets it for each rank, has its own way."""
    import mindspore as ms

    chosen = []
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ms.hal, "is_available", lambda name: name == "GPU")
    monkeypatch.setattr(ms, "set_device", lambda name, *number: chosen.append(number))
    monkeypatch.setattr(device, "_make_deterministic", lambda: None)
    assert device.use("GPU") == "GPU" and chosen == [card]


@pytest.mark.parametrize("card", ["x", "-1", "0,1"])
def test_a_device_id_that_is_not_a_number_is_refused(card, monkeypatch):
    monkeypatch.setenv("DEVICE_ID", card)
    with pytest.raises(InputError, match="DEVICE_ID: expected the number of a card"):
        device.use("CPU")
